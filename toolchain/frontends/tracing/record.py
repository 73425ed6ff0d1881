"""Recorder of one real run of a model, with every call that produced a tensor.

Layers are recorded through hooks, everything between them through a torch function mode. Tensors
are matched by identity, which is why each one is kept alive until the graph is built: the id of a
freed tensor would be reused by the next. A tensor that was changed in place through another one (a
view) is detected by its version counter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Axes, Layer
from toolchain.frontends.frameworks.kinds import kind
from toolchain.frontends.tracing.calls import Call, RecordedRun, RecordedTensor, Zeros, leaves
from toolchain.frontends.tracing.changes import LayerChanges
from toolchain.frontends.tracing.returned import leaves_by_path
from toolchain.frontends.tracing.source_line import source_line

__all__ = ["record", "tensors"]


def record(
    model: nn.Module, sample: Tensor, label: str, forward: Callable[[Tensor], Any] | None = None
) -> RecordedRun:
    """Run ``model`` once on ``sample`` and record every call.

    Args:
        model: the model whose layers are recorded.
        sample: its input.
        label: name of the sample in messages.
        forward: function that runs the model, if not its own forward alone.

    Raises:
        ExtractError: the model fails, or returns nothing that depends on the sample.
    """
    recorder = _Recorder(model, sample)
    with torch.no_grad(), recorder.hooks(), recorder:
        try:
            out = (forward or model)(sample)
        except ExtractError:
            raise
        except Exception as fault:
            raise ExtractError(
                f"{type(model).__name__} fails on {label} of shape {tuple(sample.shape)}"
                f"{recorder.location()}: {type(fault).__name__}: {fault}"
            ) from fault
        finally:
            recorder.resume()  # the run may have ended inside a layer
    return recorder.run(out)


class _Hooks:
    """Hooks that are removed when the block ends."""

    def __init__(self, handles: list[Any]) -> None:
        self.handles = handles

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


class _Recorder(TorchFunctionMode):
    """Records layers through hooks and everything between them as a torch function mode."""

    def __init__(self, model: nn.Module, sample: Tensor) -> None:
        super().__init__()
        self.model = model
        self.names = {module: name for name, module in model.named_modules()}
        self.kinds = {module: kind(module) for module in self.names}
        self.calls: list[Call] = []
        self.problems: list[str] = []
        self.values: dict[int, RecordedTensor] = {}
        self.random: dict[int, Tensor] = {}
        self.keep_alive: list[RecordedTensor] = []
        self.stack: list[nn.Module] = []
        self.changes = LayerChanges({m: n for m, n in self.names.items() if self.kinds[m]})
        self.depth = 0
        self.unwatched = {m for m, layer in self.kinds.items() if _is_unwatched(m, layer)}
        self.off: Any = None
        self.sample = self._keep(sample, None)

    # ---- layers ----

    def hooks(self) -> _Hooks:
        """Register hooks before and after every module."""
        handles: list[Any] = []
        for module in self.names:
            handles += self.changes.hooks(module)
            before = module.register_forward_pre_hook(self._before, prepend=True)
            after = module.register_forward_hook(self._after, with_kwargs=True)
            handles += [before, after]
        return _Hooks(handles)

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.stack.append(module)
        if self.kinds[module] is not None:
            self.depth += 1
            self.changes.enter(module, args)
            if self.depth == 1 and module in self.unwatched:
                self.pause()

    def _after(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> Any:
        layer = self.kinds[module]
        if layer is not None:
            if self.depth == 1:
                self.resume()
            layer = self.changes.reason(module, args, out) or layer
            if self.depth == 1:
                out = self._record_layer(module, layer, (args, kwargs), out)
            self.depth -= 1
        self.stack.pop()
        return out

    def pause(self) -> None:
        """Look at no function until :meth:`resume`."""
        self.off = torch._C.DisableTorchFunction()
        self.off.__enter__()

    def resume(self) -> None:
        """End :meth:`pause`, if it was called."""
        if self.off is not None:
            self.off.__exit__(None, None, None)
            self.off = None

    def _record_layer(self, module: nn.Module, layer: Layer | str, arguments: Any, out: Any) -> Any:
        call = Call(self._name(module), module=module, layer=layer)
        self._note_arguments(call, *arguments)
        if _passes_zeros_on(call, out):
            return out
        output, *rest = out if _has_state_and_record(out) else (out,)
        if isinstance(output, Tensor) and any(output is value.tensor for value in call.inputs):
            # a layer that returns its input unchanged still needs a tensor of its own
            output = output.view_as(output)
        aside = layer.aside if isinstance(layer, Layer) else None
        self._note_outputs(call, (output, *aside(module)) if aside else output)
        return (output, *rest) if rest else output

    def _name(self, module: nn.Module) -> str:
        return self.names[module] or type(module).__name__

    # ---- functions between the layers ----

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call ``func`` and record it, unless a layer is running."""
        if kwargs or func.__name__ in _CASTS:
            func, args, kwargs = _cast_to_double(func, args, kwargs or {})
        if self.depth:  # first: a layer may call thousands of functions
            return _to_double(func(*args, **kwargs) if kwargs else func(*args))
        kwargs = kwargs or {}
        constant = func.__name__ in _CONSTANT
        known = not constant and any(id(t) in self.values for t in tensors((args, kwargs)))
        random = func.__name__ in _RANDOM or any(
            id(tensor) in self.random for tensor in tensors((args, kwargs))
        )
        if not known:
            out = _to_double(func(*args, **kwargs))
            if random:
                self.random |= {id(tensor): tensor for tensor in tensors(out)}
            return out
        inside = self.names[self.stack[-1]] if self.stack else ""
        call = Call(inside, op=resolve_name(func) or func.__name__, where=source_line())
        call.compute, call.random = func, random
        self._note_arguments(call, args, kwargs)
        out = _to_double(func(*args, **kwargs))
        self._note_outputs(call, args[0] if func.__name__ == "__setitem__" else out)
        return out

    # ---- records ----

    def _keep(self, tensor: Tensor, call: Call | None, index: int = 0) -> RecordedTensor:
        numbers = tensor.clone() if call is None or call.stateful else tensor
        value = RecordedTensor(tensor, numbers, tuple(tensor.shape), tensor._version, call, index)
        self.values[id(tensor)] = value
        self.keep_alive.append(value)
        return value

    def _note_arguments(self, call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        call.positional, call.options = self._recorded((args, kwargs))
        call.arguments = [self._argument(call, item) for item in leaves((args, kwargs))]

    def _recorded(self, nested: Any) -> Any:
        """Return ``nested`` with the tensors that depend on the sample as they are recorded."""
        if isinstance(nested, Mapping):
            return {key: self._recorded(value) for key, value in nested.items()}
        if isinstance(nested, tuple | list):
            items = [self._recorded(item) for item in nested]
            return items if isinstance(nested, list) else tuple(items)
        value = self.values.get(id(nested))
        return nested if value is None or value.tensor is not nested else value

    def _argument(self, call: Call, item: Any) -> Any:
        """Return an argument of ``call`` in the form that :class:`Call` stores."""
        value = self.values.get(id(item))
        if value is None or value.tensor is not item:
            zeros = isinstance(item, Tensor) and not item.any()
            return Zeros(tuple(item.shape)) if zeros else item
        # a read of the shape uses no numbers
        changed = value.version != item._version and not call.op.endswith(".__get__")
        problem = f"{call}: its input was changed in place through a view"
        if changed and problem not in self.problems:
            self.problems.append(problem)
        return value

    def _note_outputs(self, call: Call, out: Any) -> None:
        values: dict[int, RecordedTensor] = {}
        for index, tensor in enumerate(tensors(out)):
            repeated = values.get(id(tensor))  # a layer may return a tensor twice
            values[id(tensor)] = repeated or self._keep(tensor, call, index)
            call.outputs.append(values[id(tensor)])
        if values:
            self.calls.append(call)

    def location(self) -> str:
        """Return the layer that the run has reached, for a message."""
        return f" in {self._name(self.stack[-1])!r}" if self.stack[1:] else ""

    def run(self, out: Any) -> RecordedRun:
        """Return the record of the run, given the model's output ``out``."""
        model = type(self.model).__name__
        out = out[0] if _has_state_and_record(out) else out
        outputs = {path: item for path, item in leaves_by_path(out) if isinstance(item, Tensor)}
        if not outputs:
            raise ExtractError(
                f"{model} returns {_describe(out)}; return the output tensor of the network"
            )
        known = {p: self.values[id(item)] for p, item in outputs.items() if id(item) in self.values}
        if not known:
            raise ExtractError(f"the output of {model} does not depend on the sample")
        return RecordedRun(
            model=model,
            calls=self.calls,
            sample=self.sample,
            outputs=[*known.values()],
            paths=[*known],
            description=_describe(out),
            problems=self.problems,
            layers={self.names[m]: m for m, layer in self.kinds.items() if layer is not None},
        )


def _is_unwatched(module: nn.Module, layer: Layer | str | None) -> bool:
    """Return True for a layer inside which no function is looked at: it computes in double."""
    if not isinstance(layer, Layer) or layer.keeps_precision is None:
        return False
    hooked = bool(module._forward_hooks or module._forward_pre_hooks)
    return not hooked and layer.keeps_precision(module)


def _passes_zeros_on(call: Call, out: Any) -> bool:
    """Return True if a layer only moved or copied zeros, which depend on no sample."""
    layer = call.layer
    if call.inputs or not isinstance(layer, Layer) or not isinstance(out, Tensor) or out.any():
        return False
    return not layer.stateful and layer.axes_of(call.module) in (Axes.ANY, Axes.RESHAPE, Axes.MOVE)


def _has_state_and_record(out: Any) -> bool:
    """Return True if ``out`` is (output, state, record), of which only the output is used."""
    return (
        isinstance(out, tuple)
        and [isinstance(item, Mapping) for item in out] == [False, True, True]
        and isinstance(out[0], Tensor)
    )


_CONSTANT = {f"{name}_like" for name in ("zeros", "ones", "full", "empty", "rand", "randn")}
_CONSTANT |= {f"new_{name}" for name in ("zeros", "ones", "full", "empty", "tensor")}
"""Functions that use only the shape of their argument."""

_RANDOM = {"rand", "randn", "randint", "randperm", "bernoulli", "poisson", "normal", "multinomial"}
_RANDOM |= {"rand_like", "randn_like", "randint_like", "binomial", "rrelu", "gumbel_softmax"}
_RANDOM |= {"bernoulli_", "normal_", "uniform_", "exponential_", "random_", "cauchy_", "geometric_"}
"""Functions that draw random numbers, also of a model in evaluation mode."""


_SINGLE = torch.float32
_CASTS = {"float", "to", "type"}


def _cast_to_double(func: Any, args: tuple[Any, ...], kwargs: Any) -> tuple[Any, Any, Any]:
    """Replace a cast to float32 inside the model by one to double, as in the rest of the run."""
    if func.__name__ == "float":
        return Tensor.double, args, kwargs
    if func.__name__ in _CASTS:
        args = tuple(torch.float64 if item is torch.float32 else item for item in args)
    kwargs = {k: torch.float64 if v is torch.float32 else v for k, v in kwargs.items()}
    return func, args, kwargs


def _to_double(out: Any) -> Any:
    """Return the single-precision output of a function in double precision."""
    return out.double() if isinstance(out, Tensor) and out.dtype is _SINGLE else out


def tensors(nested: Any) -> Iterator[Tensor]:
    """Return an iterator over the tensors in nested tuples, lists and dictionaries."""
    return (item for item in leaves(nested) if isinstance(item, Tensor))


_SHOWN = 4  # items of a list in a message


def _describe(out: Any) -> str:
    if isinstance(out, tuple | list):
        parts = [_describe(item) for item in out[:_SHOWN]]
        if len(out) > _SHOWN:
            parts.append("...")
        return f"a {type(out).__name__} of {', '.join(parts) or 'nothing'}"
    if isinstance(out, Mapping):
        items = ", ".join(f"{key!r}: {_describe(value)}" for key, value in out.items())
        return f"a dictionary of {items}"
    return f"{tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__

"""One real run of a model, with everything that made a tensor written down.

Layers are seen through hooks, all that happens between them through a torch function mode. Tensors
are joined by identity, which is why each one is kept alive until the graph is built: a freed
tensor's id would be taken by the next. A tensor changed in place by way of another (a view) is
noticed by its version counter.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from toolchain.diagnostics import ExtractError
from toolchain.frontends.adapter import Layer
from toolchain.frontends.kinds import kind

__all__ = ["Call", "Run", "Value", "record", "tensors"]

_SKIPPED = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


@dataclass(slots=True, eq=False)
class Value:
    """A tensor that depends on the sample.

    Attributes:
        tensor: the tensor itself, for its identity; a later ``+=`` may have changed its numbers.
        numbers: its numbers as they were made; a copy where a later step compares them.
        shape: its shape.
        version: how often it had been changed in place.
        call: what made it, None for the sample itself.
    """

    tensor: Tensor
    numbers: Tensor
    shape: tuple[int, ...]
    version: int
    call: Call | None = None


@dataclass(slots=True, eq=False)
class Call:
    """A layer or a torch function at work.

    Attributes:
        name: the layer's own dotted name, or that of the module in whose forward it happened.
        op: name of the torch function; empty for a layer.
        module, layer: the layer and its kind, or why it is refused.
        inputs: what it was given of the tensors that depend on the sample, in order.
        others: its other arguments.
        outputs: the tensors it gave.
        where: file, line and text in the user's code; empty for a layer.
    """

    name: str
    op: str = ""
    module: nn.Module | None = None
    layer: Layer | str | None = None
    inputs: list[Value] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    where: str = ""

    @property
    def function(self) -> str:
        """``op`` without its module: ``add_``, ``reshape``, ``T``."""
        return self.op.removesuffix(".__get__").rsplit(".", maxsplit=1)[-1]

    def __str__(self) -> str:
        """``layer 'conv1' (Conv2d)`` or ``torch.mul at model.py:12 (y = 2 * x)``."""
        if self.module is not None:
            return f"layer {self.name!r} ({type(self.module).__name__})"
        return f"{self.op} at {self.where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was seen: every call in order, the sample, and what the model gave."""

    calls: list[Call]
    sample: Value
    output: Value
    problems: list[str]
    layers: Mapping[str, nn.Module]


def record(model: nn.Module, sample: Tensor, what: str) -> Run:
    """Run ``model`` once on ``sample`` and write down every call; ``what`` names the sample.

    Raises:
        ExtractError: the model fails, gives something other than one tensor, or gives one that
            does not depend on the sample.
    """
    recorder = _Recorder(model, sample)
    with torch.no_grad(), recorder.hooks(), recorder:
        try:
            out = model(sample)
        except ExtractError:
            raise
        except Exception as fault:
            raise ExtractError(
                f"{type(model).__name__} fails on {what} of shape {tuple(sample.shape)}"
                f"{recorder.place()}: {type(fault).__name__}: {fault}"
            ) from fault
    return recorder.run(out)


class _Hooks:
    """Hooks that go when the block ends."""

    def __init__(self, handles: list[Any]) -> None:
        self.handles = handles

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


class _Recorder(TorchFunctionMode):
    """Sees the layers through hooks and everything between them as a function mode."""

    def __init__(self, model: nn.Module, sample: Tensor) -> None:
        super().__init__()
        self.model = model
        self.names = {module: name for name, module in model.named_modules()}
        self.kinds = {module: kind(module) for module in self.names}
        self.calls: list[Call] = []
        self.problems: list[str] = []
        self.values: dict[int, Value] = {}
        self.kept: list[Value] = []
        self.stack: list[nn.Module] = []
        self.depth = 0
        self.sample = self._keep(sample, None)

    # ---- layers ----

    def hooks(self) -> _Hooks:
        """Hooks before and after every module."""
        handles: list[Any] = []
        for module in self.names:
            before = module.register_forward_pre_hook(self._before, prepend=True)
            after = module.register_forward_hook(self._after, with_kwargs=True)
            handles += [before, after]
        return _Hooks(handles)

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.stack.append(module)
        if self.kinds[module] is not None:
            self.depth += 1

    def _after(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> Any:
        layer = self.kinds[module]
        if layer is not None:
            if self.depth == 1:
                out = self._layer_called(module, layer, (args, kwargs), out)
            self.depth -= 1
        self.stack.pop()
        return out

    def _layer_called(self, module: nn.Module, layer: Layer | str, given: Any, out: Any) -> Any:
        call = Call(self._name(module), module=module, layer=layer)
        self._note_inputs(call, given)
        made, *rest = out if _evolved(out) else (out,)
        if isinstance(made, Tensor) and any(made is value.tensor for value in call.inputs):
            made = made.view_as(made)  # a layer that hands its input on still gets its own tensor
        self._note_outputs(call, made)
        return (made, *rest) if rest else made

    def _name(self, module: nn.Module) -> str:
        return self.names[module] or type(module).__name__

    # ---- what happens between the layers ----

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call ``func`` and write it down, unless a layer is at work."""
        kwargs = kwargs or {}
        if self.depth:
            return func(*args, **kwargs)
        func, args, kwargs = _in_double(func, args, kwargs)
        if not any(id(tensor) in self.values for tensor in tensors((args, kwargs))):
            return func(*args, **kwargs)
        inside = self.names[self.stack[-1]] if self.stack else ""
        call = Call(inside, op=resolve_name(func) or func.__name__, where=_user_line())
        self._note_inputs(call, (args, kwargs))
        out = func(*args, **kwargs)
        self._note_outputs(call, args[0] if func.__name__ == "__setitem__" else out)
        return out

    # ---- keeping account ----

    def _keep(self, tensor: Tensor, call: Call | None) -> Value:
        compared = call is None or (isinstance(call.layer, Layer) and call.layer.stateful)
        numbers = tensor.clone() if compared else tensor
        value = Value(tensor, numbers, tuple(tensor.shape), tensor._version, call)
        self.values[id(tensor)] = value
        self.kept.append(value)
        return value

    def _note_inputs(self, call: Call, given: Any) -> None:
        for item in _leaves(given):
            value = self.values.get(id(item))
            if value is None or value.tensor is not item:
                call.others.append(item)
                continue
            call.inputs.append(value)
            if call.module is None and call.op.endswith(".__get__"):
                continue  # asking for a shape reads no numbers
            if value.version != item._version:
                self.problems.append(f"{call}: its input was changed in place by way of a view")

    def _note_outputs(self, call: Call, out: Any) -> None:
        found = list(tensors(out))
        if found:
            call.outputs = [self._keep(tensor, call) for tensor in found]
            self.calls.append(call)

    def place(self) -> str:
        """Where the run is, for a message."""
        return f" in {self._name(self.stack[-1])!r}" if self.stack[1:] else ""

    def run(self, out: Any) -> Run:
        """What was seen, once the model has given ``out``."""
        what = type(self.model).__name__
        out = out[0] if _evolved(out) else out
        if not isinstance(out, Tensor):
            raise ExtractError(
                f"{what} returns {_described(out)}; return the one tensor that leaves the network"
            )
        value = self.values.get(id(out))
        if value is None:
            raise ExtractError(f"the output of {what} does not depend on the sample")
        layers = {self.names[m]: m for m, found in self.kinds.items() if found is not None}
        return Run(
            calls=self.calls,
            sample=self.sample,
            output=value,
            problems=self.problems,
            layers=layers,
        )


def _evolved(out: Any) -> bool:
    """Whether ``out`` is an output with its state and record, of which only the output leaves."""
    return (
        isinstance(out, tuple)
        and [isinstance(item, Mapping) for item in out] == [False, True, True]
        and isinstance(out[0], Tensor)
    )


def _in_double(func: Any, args: tuple[Any, ...], kwargs: Any) -> tuple[Any, Any, Any]:
    """A cast to float32 inside the model stays in double, as the rest of the run."""
    if func.__name__ == "float":
        return Tensor.double, args, kwargs
    if func.__name__ in ("to", "type"):
        args = tuple(torch.float64 if item is torch.float32 else item for item in args)
        kwargs = {k: torch.float64 if v is torch.float32 else v for k, v in kwargs.items()}
    return func, args, kwargs


def _leaves(given: Any) -> Iterator[Any]:
    if isinstance(given, Mapping):
        given = tuple(given.values())
    if isinstance(given, tuple | list):
        for item in given:
            yield from _leaves(item)
    else:
        yield given


def tensors(given: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries."""
    return (item for item in _leaves(given) if isinstance(item, Tensor))


def _described(out: Any) -> str:
    if isinstance(out, tuple | list):
        return f"a {type(out).__name__} of {', '.join(map(_described, out)) or 'nothing'}"
    if isinstance(out, Mapping):
        items = ", ".join(f"{key!r}: {_described(value)}" for key, value in out.items())
        return f"a dictionary of {items}"
    return f"{tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__


def _user_line() -> str:
    """``file:line (text)`` of the innermost frame that is neither torch's nor of this package."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith((*_SKIPPED, "<frozen")) and frame.f_back is not None:
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).strip()
    return f"{file}:{line}" + (f" ({text})" if text else "")

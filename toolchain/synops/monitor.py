"""Hooks on a model that report the synaptic operations of each layer in every pass.

A pass is one call of the model itself. It runs under :class:`PoolFactors`, which follows average
pools and checks the inputs of layers; a pass with input shapes and mode of an earlier pass without
pools is counted without this tracing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from toolchain.synops.counts import (
    Cost,
    as_rows,
    check_input,
    conv_map,
    dense_map,
    exact,
    exact_sum,
    nonzero,
)
from toolchain.synops.layers import CONVOLUTIONS, ModelLayers, emits_spikes, is_squeezed
from toolchain.synops.pool_factors import ONE, PoolFactors, tensors

__all__ = ["Monitor", "Sink"]

_FULL_GRAPH = (
    "synops hooks look at a pass with new input shapes, and at each with average pools, outside of "
    "the compiled graph; with fullgraph=True, use SumPool2d for average pools, and call the model "
    "that is not compiled once before, in the same mode, with an input of the same shape"
)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _not_compiled(function: _Function) -> _Function:
    """Return ``function`` with a break of the compiled graph around it.

    A pass with shapes of an earlier one calls no such function, unless the model has average pools.
    """
    disable: Any = torch.compiler.disable
    if "reason" not in inspect.signature(disable).parameters:  # torch before 2.8
        return cast(_Function, disable(function))
    return cast(_Function, disable(function, reason=_FULL_GRAPH))


class Sink(Protocol):
    """Receiver of the synops of each layer."""

    def begin(self) -> None:
        """Start a pass; discard reports since the last ``end``."""

    def cost(self, path: str, cost: Cost) -> None:
        """Receive one call of the layer at ``path``; ``cost.rows`` is 0 in a recurrent layer."""

    def rows(self, path: str, rows: int, steps: int) -> None:
        """Receive the timesteps over which ``path`` feeds spikes back.

        Args:
            path: the layer with the recurrent weights.
            rows: timesteps of all samples together.
            steps: timesteps of each sample; 0 if the spiking layer has no time axis.
        """

    def end(self) -> None:
        """Finish a pass that raised no error."""


class Monitor:
    """Hooks that report every pass of a model to a sink, until :meth:`remove`.

    Args:
        model: the model; one call of it is one pass.
        layers: its layers, from ``survey``.
        sink: receives the reports.
        skip_zero_weights: True to ignore weights that are 0 at the time of the call.
    """

    def __init__(
        self, model: nn.Module, layers: ModelLayers, sink: Sink, skip_zero_weights: bool = False
    ) -> None:
        self._model = model
        self._layers = layers
        self._sink = sink
        self._skip_zero_weights = skip_zero_weights
        self._paths = {m: path for path, m in {**layers.weighted, **layers.recurrent}.items()}
        self._feedback_paths = {path for inner in layers.feedback.values() for path in inner}
        self._maps: dict[str, tuple[Any, Tensor]] = {}
        self._before: dict[str, Any] = {}
        self._factors: dict[str, float] = {}
        self._without_pools: set[Any] = set()
        self._signature: Any = None
        self._open = False
        self._tracing: PoolFactors | None = None
        self._tracing_handles: list[Any] = []
        self._handles = list(self._hooks())

    def remove(self) -> None:
        """Remove all hooks; further calls have no effect."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hooks(self) -> Iterable[Any]:
        yield self._model.register_forward_pre_hook(
            self._start_pass, prepend=True, with_kwargs=True
        )
        for module in self._layers.feedback:
            yield module.register_forward_pre_hook(self._feeds_back, with_kwargs=True)
        for module in self._layers.weighted.values():
            yield module.register_forward_hook(self._weighted, with_kwargs=True)
        for module in self._layers.recurrent.values():
            yield module.register_forward_pre_hook(self._store_spikes)
            yield module.register_forward_hook(self._recurrent)
        yield self._model.register_forward_hook(self._end_pass, always_call=True)

    def _tracing_hooks(self) -> Iterable[Any]:
        for module in self._layers.opaque:
            if module is self._model:
                continue  # its hooks already run: _start_pass does its part
            yield module.register_forward_pre_hook(
                self._start_layer, prepend=True, with_kwargs=True
            )
            yield module.register_forward_hook(self._end_layer, with_kwargs=True)
        for module in self._layers.feedback:  # registered last with prepend=True, to run first
            inner: nn.Module = module.rec_connect  # type: ignore[assignment]
            yield inner.register_forward_pre_hook(self._show_inner, prepend=True)
            yield inner.register_forward_hook(self._hide_inner)

    # ---- the pass ----

    def _start_pass(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        self._stop()
        self._signature = (model.training, *(tensor.shape for tensor in tensors((args, kwargs))))
        self._open = True
        self._sink.begin()
        if self._signature not in self._without_pools:
            self._start_tracing(model, args, kwargs)

    @_not_compiled
    def _start_tracing(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        self._tracing_handles = list(self._tracing_hooks())
        self._tracing = PoolFactors(model)
        self._tracing.mark((args, kwargs))
        if model in self._layers.opaque:
            self._start_layer(model, args, kwargs)
        self._tracing.__enter__()  # type: ignore[no-untyped-call]

    def _end_pass(self, model: nn.Module, args: Any, out: Any) -> None:
        if not self._open:
            return
        tracing = self._tracing
        self._stop()
        if out is None:  # the forward pass raised an error
            self._sink.begin()
            return
        if tracing is not None and not tracing.pooled:
            self._without_pools.add(self._signature)
        self._sink.end()

    def _stop(self) -> None:
        self._open = False
        self._before.clear()
        self._factors.clear()
        for handle in self._tracing_handles:
            handle.remove()
        self._tracing_handles = []
        if self._tracing is not None:
            self._tracing.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self._tracing = None

    # ---- the layers ----

    def _weighted(self, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        if not self._open:
            return
        path, data = self._paths[module], _first(args, kwargs)
        rows = as_rows(module, data)
        fan_out: Tensor | int
        steps = 0
        if isinstance(module, CONVOLUTIONS):
            fan_out = self._conv_map(path, module, data, out, rows)
        else:
            steps = data.shape[1] if data.dim() == 3 else 0
            fan_out = dense_map(module, self._skip_zero_weights)
        factor = self._factors.pop(path, 1.0)
        cost = Cost.of(rows, fan_out, factor, steps)
        if path in self._feedback_paths:
            cost.rows = 0
        self._sink.cost(path, cost)

    def _conv_map(
        self, path: str, module: nn.Module, data: Tensor, out: Tensor, rows: Tensor
    ) -> Tensor:
        space = len(module.kernel_size)  # type: ignore[arg-type]
        sizes, outputs = data.shape[-space:], out.shape[-space:]
        key = (sizes, outputs, rows.dtype, rows.device)
        cached = self._maps.get(path)
        if cached is not None and cached[0] == key and not self._skip_zero_weights:
            return cached[1]
        fan_out = _new_conv_map(module, sizes, outputs, self._skip_zero_weights, rows.device)
        self._maps[path] = (key, fan_out)
        return fan_out

    def _store_spikes(self, module: nn.Module, args: Any) -> None:
        self._before[self._paths[module]] = getattr(module, "spikes", None)

    def _recurrent(self, module: nn.Module, args: Any, out: Any) -> None:
        """Report the recurrent spikes, which arrive one timestep later, also from the last call."""
        path, spikes = self._paths[module], _first(out, {})
        before = self._before.pop(path, None)
        if not self._open:
            return
        feedback = exact_sum(spikes[:, :-1].flatten(0, 1))
        if before is not None and before.shape == spikes[:, 0].shape:
            feedback = feedback + exact_sum(before)
        weight: Tensor = module.w_rec  # type: ignore[assignment]
        fan_out = nonzero(weight) if self._skip_zero_weights else weight.shape[1]
        batch, steps = spikes.shape[:2]
        self._sink.cost(path, Cost(feedback, fan_out, batch * steps, spikes.dtype, steps=steps))

    # ---- inside a layer with rec_connect ----

    def _feeds_back(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if not self._open:
            return
        shape = _first(args, kwargs).shape
        rows, steps = (shape[0], 0) if is_squeezed(module) else (shape[0] * shape[1], int(shape[1]))
        for path in self._layers.feedback[module]:
            self._sink.rows(path, rows, steps)

    # ---- while a pass is traced ----

    def _start_layer(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        tracing = self._tracing
        if tracing is None:
            return
        path = self._paths.get(module)
        if path in self._layers.weighted:
            data = _first(args, kwargs)
            check_input(module, data, path)
            self._factors[path] = tracing.factor(data, path)
        tracing.hidden.append(True)

    def _end_layer(self, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        tracing = self._tracing
        if tracing is None:
            return
        tracing.hidden.pop()
        spikes = module in self._paths or emits_spikes(module)
        tracing.mark(out, ONE if spikes else tracing.of((args, kwargs)))

    def _show_inner(self, module: nn.Module, args: Any) -> None:
        if self._tracing is not None:
            self._tracing.mark(args)
            self._tracing.hidden.append(False)

    def _hide_inner(self, module: nn.Module, args: Any, out: Any) -> None:
        if self._tracing is not None:
            self._tracing.hidden.pop()


@_not_compiled
def _new_conv_map(
    module: nn.Module,
    sizes: Sequence[int],
    outputs: Sequence[int],
    skip_zero_weights: bool,
    device: torch.device,
) -> Tensor:
    with torch.inference_mode(False):  # training may use the same map later
        fan_out = conv_map(module, sizes, outputs, skip_zero_weights)
        return fan_out.to(device, exact(device))


def _first(args: Any, kwargs: Any) -> Any:
    """Return the first input or output of a layer."""
    if isinstance(args, Tensor):
        return args
    if args:
        return args[0]
    return next(iter(kwargs.values()), None)

"""Conversion of the recorded calls, in order: each becomes a node or a problem.

Problems are collected, and conversion continues after them as long as shapes allow, so that a user
gets all of them at once. A call that the IR cannot represent is never skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import nn as torch_nn

from toolchain.arrays import Array
from toolchain.frontends.frameworks.adapter import Axes, Fragment, Layer, UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout, Grid, check_axes
from toolchain.frontends.tracing.calls import Call, RecordedRun, RecordedTensor, Zeros
from toolchain.frontends.tracing.function_calls import check_usable, convert_function
from toolchain.frontends.tracing.functions import DRAWN
from toolchain.frontends.tracing.grids import step_calls
from toolchain.frontends.tracing.outputs import NamedOutput, membrane_readouts, without_spikes
from toolchain.frontends.tracing.partial_graph import PartialGraph, Signal
from toolchain.frontends.tracing.placing import as_rows, place_flat, place_moves
from toolchain.frontends.tracing.states import check_states, repeated_call_message, tensor_arguments
from toolchain.frontends.tracing.sums import sum_signals
from toolchain.ir import Input, Output
from toolchain.report import plural, times

__all__ = ["CallConverter"]


@dataclass(slots=True, eq=False)
class CallConverter:
    """Converter of the recorded calls of one run, with the sample read as ``layout``.

    Attributes:
        run: the recorded run.
        grid: sizes of batch and time.
        layout: leading axes of the sample.
        graph: nodes and edges so far.
        problems: refused calls, each with its reason.
        function_problems: those of functions between the layers, with the calls.
        layers: output of each layer with state, by node: a whole sequence, or one tensor a step.
        dts: length of a timestep, s, by the layers that state it.
        reshape_layers: layers that only rearrange axes, which are no node.
        signals: position of each recorded tensor in the graph.
        readouts: layers whose membrane is used, and not their spikes.
        loops: True if the run contains a loop over time.
    """

    run: RecordedRun
    grid: Grid
    layout: AxisLayout
    graph: PartialGraph = field(default_factory=PartialGraph)
    problems: list[str] = field(default_factory=list)
    function_problems: dict[str, Call] = field(default_factory=dict)
    layers: dict[str, list[RecordedTensor]] = field(default_factory=dict)
    dts: dict[str, float] = field(default_factory=dict)
    reshape_layers: list[str] = field(default_factory=list)
    signals: dict[RecordedTensor, Signal | None] = field(default_factory=dict)
    readouts: set[torch_nn.Module] = field(default_factory=set)
    loops: bool = False
    _reported: set[str] = field(default_factory=set)
    _calls: dict[torch_nn.Module, int] = field(default_factory=dict)
    _last: dict[torch_nn.Module, tuple[int, Call]] = field(default_factory=dict)
    _on_zeros: dict[torch_nn.Module, int] = field(default_factory=dict)

    def convert(self, calls: Sequence[Call], outputs: Sequence[NamedOutput]) -> CallConverter:
        """Convert ``calls``, which lead to ``outputs``, and return the converter itself."""
        self.problems += self.run.problems
        self.graph.reserved = {call.name for call in calls if call.module is not None}
        self.readouts = membrane_readouts(calls, [output.value for output in outputs])
        self.loops = bool(step_calls(calls))
        for call in self.run.calls:
            if call.module is not None:
                self._calls[call.module] = self._calls.get(call.module, 0) + 1
        entry = self.graph.free_name("input")
        self.graph.add_node(entry, Input(shape=self.layout.features(self.run.sample.shape)))
        self.signals[self.run.sample] = Signal(entry, self.layout)
        for call in calls:
            self._convert_call(call)
        if not self.problems:
            for name, node in self.graph.loop.nodes.items():
                self._try(node.call, self.graph.loop.check, name)
            for call in self.graph.permanently_absent():
                self._try(call, self._refuse_constant_zeros)
        for index, output in enumerate(outputs):
            if output.value.call is not None:
                self._try(output.value.call, self._add_output, output, index)
        self.graph.remove_unused()
        self._keep_causes()
        return self

    def _keep_causes(self) -> None:
        """Keep of all problems in a line that draws random numbers only that it does."""
        drawn = {call.where for call in self.function_problems.values() if call.random}
        for text, call in self.function_problems.items():
            if call.where in drawn and not call.random:
                self.problems.remove(text)

    def _try(self, call: Call, do: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``do(*arguments)``; record one problem for each place in the user's code."""
        try:
            return do(*arguments)
        except ValueError as fault:
            if str(call) not in self._reported:
                self._reported.add(str(call))
                self.problems.append(f"{call}: {fault}")
                if call.module is None:
                    self.function_problems[self.problems[-1]] = call
            return None

    def _refuse_constant_zeros(self) -> None:
        """Refuse a sum with zeros in every step, whose later source cannot be seen."""
        raise UnsupportedError(
            f"adds zeros in {f'each of {self.grid.time} timesteps' if self.loops else 'all of it'} "
            "that are no layer's output; leave them out or, if they stand for spikes of an earlier "
            "timestep, give a longer sample"
        )

    def _convert_call(self, call: Call) -> None:
        result = self._try(call, self._signals, call)
        for n, value in enumerate(call.outputs):
            self.signals[value] = (result[n] if result else None) or self._guess(call, value)

    def _guess(self, call: Call, value: RecordedTensor) -> Signal | None:
        """Return a signal without node after a refused call, with a layout that fits the shape."""
        for tensor in call.inputs:
            like = self.signals[tensor]
            if like is not None and value.shape[: like.layout.lead] == self.grid.lead(like.layout):
                return replace(like, node="", state=False)
        layouts = self.grid.possible_layouts(value.shape)
        return Signal("", layouts[0]) if layouts else None

    def _signals(self, call: Call) -> Sequence[Signal]:
        """Return the positions in the graph of the outputs of ``call``."""
        if isinstance(call.layer, str):
            raise UnsupportedError(call.layer)
        if call.random:
            raise UnsupportedError(DRAWN)  # whatever its input follows from
        inputs = [self.signals[value] for value in call.inputs]
        available = [signal for signal in inputs if signal is not None]
        if len(available) < len(inputs):
            return []  # follows from a call that was refused, which is reported on its own
        if call.layer is None:
            return convert_function(call, available, self.grid, self.graph, loops=self.loops)
        assert call.module is not None
        if call.stateful and call.layer.axes_of(call.module) is Axes.STEP:
            return self._step(call, call.layer, call.module)
        return self._layer(call, call.layer, call.module, available)

    def _add_output(self, output: NamedOutput, index: int) -> None:
        """Add an output node."""
        end = self.signals[output.value]
        if end is None:
            return
        if end.state:
            raise UnsupportedError(
                f"the network returns the membrane of layer {end.node!r} and uses its spikes as "
                "well; return the spikes"
            )
        if not end.sequence:
            which = "one frame" if end.step is None else f"timestep {end.step} alone"
            raise UnsupportedError(
                f"the network returns {which}; return the whole sequence; in a loop over time, "
                "torch.stack of every step's output"
            )
        name = self.graph.free_name(output.label or "output")
        self.graph.add_node(name, Output(label=output.label, index=index), end)

    # ---- layers ----

    def _layer(
        self, call: Call, layer: Layer, module: torch_nn.Module, inputs: list[Signal]
    ) -> Sequence[Signal]:
        """Convert a layer without state, or one that takes a whole sequence."""
        if layer.stateful and self._calls[module] > 1:
            raise UnsupportedError(repeated_call_message(self._calls[module]))
        check_usable(inputs)
        axes = layer.axes_of(module)
        if axes in (Axes.RESHAPE, Axes.MOVE):
            return self._move_layer(call, inputs, axes)
        if layer.sums:
            return [sum_signals(call, inputs, self.graph)]
        if layer.stateful:
            check_states(call, None)
        source, shape = self._source(call)
        if source is not None and axes in _ON_ROWS:
            source = as_rows(call, source, shape, self.graph)
        like = source or Signal("", AxisLayout.STEP)
        step = self._timestep(module, source)
        check_axes(axes, shape, like.layout)
        if axes in (Axes.TIME, Axes.TIME_FIRST) and step is not None:
            raise UnsupportedError(
                "is called on a single timestep; call it once, on the whole sequence"
            )
        like = replace(like, step=step, before=None)
        result = self._place_layer(call, layer, module, source, like, shape)
        return self._output_signals(call, layer, result)

    def _output_signals(self, call: Call, layer: Layer, result: Signal) -> Sequence[Signal]:
        """Return the signals of a layer: output and states, or the output in separate timesteps."""
        one = call.outputs[0]
        steps = len(call.outputs) == self.grid.time and one.shape[:1] == (self.grid.batch,)
        if (
            result.sequence
            and one.shape[: result.layout.lead] != self.grid.lead(result.layout)
            and steps
        ):
            self.layers[result.node] = call.outputs
            return [Signal(result.node, AxisLayout.STEP, step) for step in range(self.grid.time)]
        out = layer.membrane if call.module in self.readouts else 0
        if layer.stateful:
            self.layers[result.node] = [call.outputs[out or 0]]
        return [replace(result, state=value.index != out) for value in call.outputs]

    def _move_layer(self, call: Call, inputs: list[Signal], axes: Axes) -> Sequence[Signal]:
        """Convert a layer that only moves numbers, and note one that is no node."""
        signal, result = inputs[0], None
        if axes is Axes.RESHAPE:
            result = place_flat(call, signal, self.grid, self.graph)
        moved = [result] if result is not None else []
        moved = moved or place_moves(call, inputs, self.grid, self.graph, loops=self.loops)
        source = signal.before[0] if signal.before else signal
        title = f"{call.name} ({type(call.module).__name__})"
        is_node = moved[0].node not in (signal.node, source.node)
        if not is_node and title not in self.reshape_layers:
            self.reshape_layers.append(title)
        return moved

    def _step(self, call: Call, layer: Layer, module: torch_nn.Module) -> Sequence[Signal]:
        """Convert a layer with state in one step of a loop."""
        source, shape = self._source(call)
        if source is not None:
            check_axes(Axes.STEP, shape, source.layout)
        calls, steps = self._calls[module], self.grid.time
        timesteps = plural(steps, "timestep")
        if calls > steps:
            raise UnsupportedError(
                f"is called {times(calls)} in {timesteps}; it has state, so each call within a "
                "step needs its own layer"
            )
        if calls < steps:
            raise UnsupportedError(
                f"is called {times(calls)} in {timesteps}; a loop over time must call it once in "
                "each"
            )
        last, before = self._last.get(module, (-1, None))
        step = last + 1
        self._last[module] = step, call
        check_states(call, before)
        if source is not None and source.step is not None and source.step > step:
            raise UnsupportedError(
                f"receives timestep {source.step} in its call for timestep {step}; a loop over "
                "time must process the steps in order"
            )
        result = self._place_layer(
            call, layer, module, source, Signal("", AxisLayout.STEP, step), shape
        )
        out = layer.membrane if module in self.readouts else 0
        signals = [replace(result, state=value.index != out) for value in call.outputs]
        self.layers.setdefault(result.node, []).append(call.outputs[out or 0])
        return signals

    def _source(self, call: Call) -> tuple[Signal | None, tuple[int, ...]]:
        """Return the input signal of a layer, None for zeros in a loop, and its shape."""
        arguments = tensor_arguments(call)
        first = arguments[0] if arguments else None
        if isinstance(first, RecordedTensor):
            signal = self.signals[first]
            assert signal is not None
            check_usable([signal])
            if not call.stateful and len(call.inputs) > 1:
                raise UnsupportedError(f"takes one tensor, got {len(call.inputs)}")
            return signal, first.shape
        if isinstance(first, Zeros) and self.loops:
            return None, first.shape
        raise UnsupportedError("its input does not depend on the sample")

    def _timestep(self, module: torch_nn.Module, source: Signal | None) -> int | None:
        """Return the timestep of a call of a layer without state.

        A layer whose first calls were on zeros, because nothing had fired yet, takes the output of
        an earlier step in each later call.
        """
        zeros = self._on_zeros.get(module, 0)
        if source is None:
            self._on_zeros[module] = zeros + 1
            return zeros
        return None if source.step is None else source.step + zeros

    def _place_layer(
        self,
        call: Call,
        layer: Layer,
        module: torch_nn.Module,
        source: Signal | None,
        like: Signal,
        shape: tuple[int, ...],
    ) -> Signal:
        def make(name: str) -> Fragment:
            fragment = layer.adapter(name, module, like.layout.features(shape))
            if fragment.dt is not None:
                self.dts[name] = fragment.dt
            return without_spikes(fragment) if module in self.readouts else fragment

        return self.graph.add_call(call, module, [source], like, make)

    # ---- recorded numbers ----

    def sequence(self, values: Sequence[RecordedTensor]) -> Array:
        """Return the numbers of a sequence, or of all timesteps, as (batch, time, *features)."""
        signal = self.signals[values[0]]
        assert signal is not None
        arrays = [value.numbers.numpy() for value in values]
        if signal.layout is not AxisLayout.STEP:
            return self.grid.batch_first(arrays[0], signal.layout)
        return np.stack(arrays if signal.step is not None else arrays * self.grid.time, axis=1)


_ON_ROWS = (Axes.ROWS, Axes.CHANNELS, Axes.LINE, Axes.IMAGE)

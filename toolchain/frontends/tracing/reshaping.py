"""Functions and layers that only rearrange axes and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from toolchain.frontends.frameworks.adapter import UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout, Grid
from toolchain.frontends.tracing.calls import Call
from toolchain.frontends.tracing.functions import UNORDERED
from toolchain.frontends.tracing.partial_graph import PartialGraph, Signal
from toolchain.frontends.tracing.views import find_step

__all__ = ["join_steps", "reorder", "reshape", "slice_steps"]


def reorder(signal: Signal) -> Signal:
    """Return the signal with its first two axes swapped, which must be batch and time."""
    layout = signal.layout.swapped
    if layout is None:
        raise UnsupportedError(UNORDERED)
    return replace(signal, layout=layout)


def reshape(call: Call, signal: Signal, grid: Grid) -> tuple[Signal, bool]:
    """Return the signal of the reshaped tensor, and whether its features were flattened."""
    input_shape, output_shape = call.inputs[0].shape, call.outputs[0].shape
    if signal.step is not None:
        match = grid.layout_after_step_reshape(input_shape, signal.layout, output_shape)
    elif isinstance(call.module, nn.Flatten):
        match = grid.layout_after_flatten(call.module, input_shape, signal.layout)
    else:
        match = grid.layout_after_reshape(input_shape, signal.layout, output_shape)
    if match is None:
        raise UnsupportedError(
            f"reshapes {input_shape} to {output_shape}; only flattening all features, and joining "
            f"or splitting batch {grid.batch} and time {grid.time}, are supported"
        )
    layout, flat = match
    return replace(signal, layout=layout), flat


def slice_steps(call: Call, signal: Signal) -> Sequence[Signal]:
    """Return the timesteps that the views of a sequence contain."""
    if not signal.sequence or not signal.layout.has_time_axis:
        raise UnsupportedError(
            f"slices {signal.layout.value}; only a whole sequence, (time, batch, ...) or (batch, "
            "time, ...), can be sliced, into timesteps"
        )
    axis = 0 if signal.layout is AxisLayout.TIME_BATCH else 1
    steps = [find_step(view, call.inputs[0], axis) for view in call.outputs]
    if None in steps:
        raise UnsupportedError(
            f"is not a single timestep of {signal.layout.value}; pass the whole sequence to each "
            "layer, or loop over it step by step"
        )
    return [
        replace(signal, step=step, layout=signal.layout if keeps_axis else AxisLayout.STEP)
        for step, keeps_axis in filter(None, steps)
    ]


def join_steps(call: Call, inputs: Sequence[Signal], grid: Grid, graph: PartialGraph) -> Signal:
    """Return the whole sequence that the steps of a loop form."""
    others = [item for item in call.others if not isinstance(item, int)]
    if others or not all(signal.step is not None for signal in inputs):
        raise UnsupportedError(
            "joins tensors that are not the steps of a loop over time; channels cannot be joined: "
            "use two layers and add their outputs"
        )
    layout = _join_layout(call, grid)
    if not all(signal.node for signal in inputs):
        return Signal("", layout)  # follows from a refused call, which is reported on its own
    steps = [signal.step for signal in inputs]
    if steps != list(range(grid.time)):
        raise UnsupportedError(
            f"joins {len(steps)} of {grid.time} timesteps, {_shorten(steps)}; the outputs of all "
            "steps must be joined, in order"
        )
    name = f"join {id(call)}"
    for signal in inputs:
        assert signal.step is not None
        graph.loop.add_inputs(name, call, signal.step, [(signal.node, signal.step)], "join")
    return replace(inputs[-1], layout=layout, step=None)


def _join_layout(call: Call, grid: Grid) -> AxisLayout:
    """Return the layout of joined timesteps, with time as axis 0 or axis 1."""
    input_shape, output_shape = call.inputs[0].shape, call.outputs[0].shape
    dim = next((item for item in call.others if isinstance(item, int)), 0) % len(output_shape)
    layout = {0: AxisLayout.TIME_BATCH, 1: AxisLayout.BATCH_TIME}.get(dim)
    alone = Grid(grid.batch, 1).lead(layout) if layout else ()
    lead = (grid.batch,) if call.function == "stack" else alone
    if layout is None or input_shape[: len(lead)] != lead or len(output_shape) < 2:
        raise UnsupportedError(
            f"joins timesteps along axis {dim} of {output_shape}; join them along axis 0 for "
            "(time, batch, ...) or 1 for (batch, time, ...), with torch.stack"
        )
    return layout


def _shorten(steps: Sequence[int | None]) -> str:
    return ", ".join(map(str, steps[:4])) + (", ..." if len(steps) > 4 else "")

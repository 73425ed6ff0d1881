"""Functions and layers that only rearrange axes and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from toolchain.frontends.frameworks.adapter import UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout, Grid
from toolchain.frontends.tracing.calls import Call, Zeros
from toolchain.frontends.tracing.partial_graph import PartialGraph, Signal
from toolchain.frontends.tracing.views import find_step, swaps_first_two

__all__ = [
    "join_steps",
    "joins_steps",
    "reorder",
    "reshape",
    "slice_steps",
    "stack_axis",
    "stacks_signals",
]


def reorder(call: Call, signal: Signal) -> Signal | None:
    """Return the signal with batch and time swapped; None if it does something else."""
    layout = signal.layout.swapped
    if layout is None or not swaps_first_two(call):
        return None
    return replace(signal, layout=layout)


def reshape(call: Call, signal: Signal, grid: Grid) -> tuple[Signal, bool] | None:
    """Return the signal of the reshaped tensor, and whether its features were flattened.

    None if it does more than flatten all features, or join or split batch and time.
    """
    input_shape, output_shape = call.inputs[0].shape, call.outputs[0].shape
    if signal.step is not None:
        match = grid.layout_after_step_reshape(input_shape, signal.layout, output_shape)
    elif isinstance(call.module, nn.Flatten):
        match = grid.layout_after_flatten(call.module, input_shape, signal.layout)
    else:
        match = grid.layout_after_reshape(input_shape, signal.layout, output_shape)
    if match is None:
        return None
    layout, flat = match
    return replace(signal, layout=layout), flat


def slice_steps(call: Call, signal: Signal) -> Sequence[Signal] | None:
    """Return the timesteps that the views of a sequence contain; None if they are no timesteps."""
    if not signal.sequence or not signal.layout.has_time_axis:
        return None
    axis = 0 if signal.layout is AxisLayout.TIME_BATCH else 1
    steps = [find_step(view, call.inputs[0], axis) for view in call.outputs]
    if None in steps:
        return None
    return [
        replace(signal, step=step, layout=signal.layout if keeps_axis else AxisLayout.STEP)
        for step, keeps_axis in filter(None, steps)
    ]


def join_steps(call: Call, inputs: Sequence[Signal], grid: Grid, graph: PartialGraph) -> Signal:
    """Return the whole sequence that the steps of a loop form."""
    others = [item for item in call.others if not isinstance(item, int)]
    if not others and all(signal.step is None and not signal.sequence for signal in inputs):
        return _repeat_frame(call, inputs, grid)
    if others or not all(signal.step is not None for signal in inputs):
        raise UnsupportedError(
            "joins tensors that are not the steps of a loop over time along batch or time; "
            "features are joined along their own axis"
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


def stacks_signals(call: Call, inputs: Sequence[Signal]) -> bool:
    """Return True if a call stacks signals of the same timesteps along an axis before them."""
    return (
        call.function == "stack"
        and len(inputs) > 1
        and len({signal.step for signal in inputs}) == 1
        and all(signal.sequence or signal.step is not None for signal in inputs)
        and stack_axis(call) < inputs[0].layout.lead
        and not any(isinstance(item, Zeros | Tensor) for item in call.others)
    )


def joins_steps(call: Call, inputs: Sequence[Signal], grid: Grid) -> bool:
    """Return True if a call joins different timesteps, or anything along batch or time."""
    if stack_axis(call) < inputs[0].layout.lead:
        return True
    if call.function != "stack" or any(signal.sequence for signal in inputs):
        return False
    steps = {signal.step for signal in inputs}
    nodes = {signal.node for signal in inputs}
    if steps == {None}:
        return len(nodes) == 1 and len(inputs) == grid.time  # one frame in each timestep
    return len(steps) == grid.time > 1 or (len(steps) > 1 and len(nodes) == 1)


def _repeat_frame(call: Call, inputs: Sequence[Signal], grid: Grid) -> Signal:
    """Return the whole sequence that one frame forms, repeated for each timestep."""
    if len({signal.node for signal in inputs}) > 1 or len(inputs) != grid.time:
        raise UnsupportedError(
            f"joins {len(inputs)} frames over {grid.time} timesteps; only one frame, the same in "
            "each step, is supported"
        )
    return replace(inputs[0], layout=_join_layout(call, grid), frame=False)


def stack_axis(call: Call) -> int:
    """Return the axis of the output along which a call joins its inputs."""
    axes = (item for item in call.others if isinstance(item, int))
    return next(axes, 0) % len(call.outputs[0].shape)


def _join_layout(call: Call, grid: Grid) -> AxisLayout:
    """Return the layout of joined timesteps, with time as axis 0 or axis 1."""
    input_shape, output_shape = call.inputs[0].shape, call.outputs[0].shape
    dim = stack_axis(call)
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

"""Sizes of batch and time in a run, inferred from its layers.

A layer that splits or keeps both axes determines them; all such layers must agree. In a loop over
time, where each call of a layer is one timestep, the calls are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from toolchain.arrays import Shape
from toolchain.frontends.frameworks.adapter import Axes, Layer, UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout, Grid
from toolchain.frontends.tracing.calls import Call
from toolchain.frontends.tracing.functions import REPEATS

__all__ = ["candidate_grids", "guessed_grids", "step_calls"]


def candidate_grids(calls: Sequence[Call], sample: Shape) -> list[tuple[Grid, AxisLayout]]:
    """Return the possible sizes of batch and time with the sample's layout, the likeliest first.

    Raises:
        UnsupportedError: two layers disagree, or the sample does not fit them.
    """
    layer_grids = {str(call): grid for call in calls for grid in _layer_grid(call)}
    if len(set(layer_grids.values())) > 1:
        sizes = "; ".join(
            f"{name}: batch {grid.batch}, time {grid.time}" for name, grid in layer_grids.items()
        )
        raise UnsupportedError(
            f"the layers disagree about batch and time: {sizes}. {_remedy({*layer_grids.values()})}"
        )
    for grid in layer_grids.values():
        candidates = [(grid, layout) for layout in grid.possible_layouts(sample)]
        if sample[0] == grid.batch and any(call.function in REPEATS for call in calls):
            candidates.append((grid, AxisLayout.STEP))
        if not candidates:
            raise UnsupportedError(
                f"the sample has shape {sample}, but the spiking layers have batch {grid.batch} "
                f"and time {grid.time}; it should start with (batch, time) or with batch * time"
            )
        return candidates
    if loop_calls := step_calls(calls):
        return _loop_grids(loop_calls, sample)
    if len(sample) < 3:
        raise UnsupportedError(
            f"batch and time of a sample of shape {sample} are ambiguous; give it as "
            "(batch, time, *features)"
        )
    grids = [Grid(*sample[:2])]
    if any(isinstance(call.layer, str) for call in calls):
        # the axes of an unsupported layer are unknown, so that time may come first as well
        grids.append(Grid(batch=sample[1], time=sample[0]))
    return [(grid, layout) for grid in grids for layout in grid.possible_layouts(sample)]


def guessed_grids(calls: Sequence[Call], sample: Shape) -> list[tuple[Grid, AxisLayout]]:
    """Return the likely sizes of batch and time where the layers and the sample do not agree."""
    grids = [grid for call in calls for grid in _layer_grid(call)][:1]
    if len(sample) > 2:
        grids += [Grid(*sample[:2]), Grid(batch=sample[1], time=sample[0])]
    return [
        (grid, layout)
        for grid in dict.fromkeys(grids)
        for layout in grid.possible_layouts(sample)[:1]
    ]


def _remedy(grids: set[Grid]) -> str:
    if any(Grid(grid.time, grid.batch) in grids for grid in grids):
        return "put transpose(0, 1) between layers on (time, batch, ...) and on (batch, time, ...)"
    return (
        "Layers on (batch, time, ...) and layers on (batch * time, ...) are joined by FlattenTime "
        "and UnflattenTime"
    )


def step_calls(calls: Sequence[Call]) -> dict[str, list[Call]]:
    """Return the calls of layers with state that take one timestep each, by layer name."""
    calls_by_layer: dict[str, list[Call]] = {}
    for call in calls:
        if _is_step_call(call):
            calls_by_layer.setdefault(call.name, []).append(call)
    return calls_by_layer


def _is_step_call(call: Call) -> bool:
    layer = call.layer
    return isinstance(layer, Layer) and layer.stateful and layer.axes_of(call.module) is Axes.STEP


def _loop_grids(loop_calls: dict[str, list[Call]], sample: Shape) -> list[tuple[Grid, AxisLayout]]:
    """Return the grids of a loop over a sequence, or over one frame that every step takes."""
    first = next(call for call in chain.from_iterable(loop_calls.values()) if call.inputs)
    batch = first.inputs[0].shape[0]
    counts = sorted({len(group) for group in loop_calls.values()})
    sequence_grids = [Grid(batch=sample[1], time=sample[0]), Grid(*sample[:2])]
    same_batch = [grid for grid in sequence_grids if grid.batch == batch]
    grids = dict.fromkeys([Grid(batch, n) for n in counts] + same_batch)
    candidates = []
    for grid in grids if len(sample) > 2 else ():
        layouts = [layout for layout in grid.possible_layouts(sample) if layout.has_time_axis]
        candidates += [(grid, layout) for layout in layouts]
    if sample[0] == batch:
        candidates += [(Grid(batch, n), AxisLayout.STEP) for n in counts]
    if not candidates:
        raise UnsupportedError(
            f"the sample has shape {sample}, but the loop runs {counts[0]} times over a batch of "
            f"{batch}; it should be (time, batch, ...), (batch, time, ...), or one frame (batch, "
            "...) for every step"
        )
    return candidates


def _layer_grid(call: Call) -> Iterator[Grid]:
    if not isinstance(call.layer, Layer) or not call.inputs or not call.outputs:
        return
    shape, module = call.inputs[0].shape, call.module
    axes = call.layer.axes_of(module)
    if len(shape) > 1 and axes is Axes.TIME:
        yield Grid(*shape[:2])
    elif len(shape) > 1 and axes is Axes.TIME_FIRST:
        yield Grid(batch=shape[1], time=shape[0])
    elif call.layer.grid is not None:
        yield Grid(*call.layer.grid(module, shape, call.outputs[0].shape))

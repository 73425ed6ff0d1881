"""How long batch and time are in a run, as its layers tell.

Layers that cut or keep both axes know; all of them have to agree. In a loop over time, where a
layer sees one timestep at a call, the calls are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toolchain.arrays import Shape
from toolchain.frontends.frameworks.adapter import Axes, Layer, UnsupportedError
from toolchain.frontends.tracing.axes import Grid, Layout
from toolchain.frontends.tracing.calls import Call

__all__ = ["readings", "step_calls"]


def readings(path: Sequence[Call], sample: Shape) -> list[tuple[Grid, Layout]]:
    """The ways to read a sample, the likeliest first.

    Raises:
        UnsupportedError: two layers disagree, or the sample does not go with them.
    """
    claims = {str(call): grid for call in path for grid in _claims(call)}
    if len(set(claims.values())) > 1:
        told = "; ".join(
            f"{name}: batch {grid.batch}, time {grid.time}" for name, grid in claims.items()
        )
        raise UnsupportedError(
            f"the layers disagree about batch and time: {told}. {_remedy({*claims.values()})}"
        )
    for grid in claims.values():
        found = [(grid, layout) for layout in grid.readings(sample)]
        if not found:
            raise UnsupportedError(
                f"the sample has shape {sample}, but the spiking layers see batch {grid.batch} and "
                f"time {grid.time}; it should start with (batch, time) or with batch * time"
            )
        return found
    if calls := step_calls(path):
        return _of_loop(calls, sample)
    if len(sample) < 3:
        raise UnsupportedError(
            f"cannot tell batch and time of a sample of shape {sample}; give it as "
            "(batch, time, *features)"
        )
    grids = [Grid(*sample[:2])]
    if any(isinstance(call.layer, str) for call in path):
        grids.append(Grid(batch=sample[1], time=sample[0]))  # what it would have told is not known
    return [(grid, layout) for grid in grids for layout in grid.readings(sample)]


def _remedy(grids: set[Grid]) -> str:
    if any(Grid(grid.time, grid.batch) in grids for grid in grids):
        return "transpose(0, 1) goes between layers on (time, batch, ...) and on (batch, time, ...)"
    return (
        "Layers on (batch, time, ...) and layers on (batch * time, ...) are joined by FlattenTime "
        "and UnflattenTime"
    )


def step_calls(path: Sequence[Call]) -> dict[str, list[Call]]:
    """The calls of layers with state that see one timestep each, by name of the layer."""
    found: dict[str, list[Call]] = {}
    for call in path:
        if _steps(call):
            found.setdefault(call.name, []).append(call)
    return found


def _steps(call: Call) -> bool:
    layer = call.layer
    return isinstance(layer, Layer) and layer.stateful and layer.axes_of(call.module) is Axes.STEP


def _of_loop(calls: dict[str, list[Call]], sample: Shape) -> list[tuple[Grid, Layout]]:
    """A sequence that the loop cuts into steps, or else one frame shown in each step."""
    first = next(call for group in calls.values() for call in group if call.inputs)
    batch = first.inputs[0].shape[0]
    counts = sorted({len(group) for group in calls.values()})
    cut = [Grid(batch=sample[1], time=sample[0]), Grid(*sample[:2])]
    grids = dict.fromkeys([Grid(batch, n) for n in counts] + [g for g in cut if g.batch == batch])
    found = [
        (grid, layout)
        for grid in grids
        for layout in grid.readings(sample)
        if layout.timed and len(sample) > 2
    ]
    if sample[0] == batch:
        found += [(Grid(batch, n), Layout.STEP) for n in counts]
    if not found:
        raise UnsupportedError(
            f"the sample has shape {sample}, but the loop runs {counts[0]} times over a batch of "
            f"{batch}; it should be (time, batch, ...), (batch, time, ...), or one frame "
            "(batch, ...) that every step is given"
        )
    return found


def _claims(call: Call) -> Iterator[Grid]:
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

"""Calls that only move, copy or omit numbers, recognized by what they do.

However it was written, such a call is repeated with each entry of its input replaced by its
position. The positions that come out show where batch and time went and which feature each entry
came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
import torch
from torch import Tensor

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout, Grid
from toolchain.frontends.tracing.calls import Call
from toolchain.frontends.tracing.feature_moves import ZERO, is_reshape
from toolchain.frontends.tracing.partial_graph import Signal

__all__ = ["NotMovesError", "Placed", "rearranged"]

_ALONE = (AxisLayout.STEP, AxisLayout.TIME_BATCH, AxisLayout.BATCH_TIME)


class NotMovesError(UnsupportedError):
    """A call that computes something."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Output of a rearrangement.

    Attributes:
        like: its layout and timestep, without node.
        indices: for each input, the source index of the output's features.
    """

    like: Signal
    indices: Sequence[Array]

    def cost(self, features: Sequence[Shape]) -> int:
        """Return 0 where nothing moves, 1 for a reshape, and 2 otherwise."""
        if len(self.indices) > 1 or not is_reshape(self.indices[0], features[0]):
            return 2
        return int(self.indices[0].shape != features[0])


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """An input of the call and the outputs of its repetition on positions."""

    signal: Signal
    shape: Shape
    outputs: list[Array]
    grid: Grid

    @property
    def features(self) -> Shape:
        return self.signal.layout.features(self.shape)

    def rows(self, batch: Array, time: Array) -> Array:
        """Return the position among the leading axes of each sample and timestep."""
        layout = self.signal.layout
        if layout is AxisLayout.STEP:
            return batch
        batches, steps = self.grid.batch, self.grid.time if self.signal.sequence else 1
        time = time if self.signal.sequence else np.zeros_like(time)
        if layout in (AxisLayout.BATCH_TIME, AxisLayout.ROWS):
            return batch * steps + time
        return time * batches + batch


def rearranged(call: Call, signals: Sequence[Signal], grid: Grid) -> list[Placed]:
    """Return where the numbers of each output of ``call`` come from.

    Raises:
        NotMovesError: it computes something.
        UnsupportedError: it mixes samples or timesteps with features.
    """
    sources = [_source(call, n, signal, grid) for n, signal in enumerate(signals)]
    _check_moves(call, sources)
    placed = []
    for n, value in enumerate(call.outputs):
        options = [*_options(sources, n, value.shape, grid)]
        if not options:
            raise UnsupportedError(_refusal(call, value.shape, grid))
        features = [source.features for source in sources]
        placed.append(min(options, key=lambda option: option.cost(features)))
    return placed


@lru_cache(maxsize=4)
def _positions(shape: Shape) -> Tensor:
    """Return 1, 2, 3, ... in ``shape``; 0 is left for numbers that come from nowhere."""
    return torch.arange(1, prod(shape) + 1, dtype=torch.float64).reshape(shape)


def _source(call: Call, n: int, signal: Signal, grid: Grid) -> _Source:
    shapes = [value.shape for value in call.inputs]
    tensors = [
        _positions(shape) if k == n else torch.zeros(shape, dtype=torch.float64)
        for k, shape in enumerate(shapes)
    ]
    return _Source(signal, shapes[n], [out.numpy() for out in call.repeat(tensors)], grid)


def _check_moves(call: Call, sources: Sequence[_Source]) -> None:
    """Check that a call which may compute something only moves numbers."""
    constants = any(isinstance(item, Tensor) for item in call.others)
    if call.function not in _MAY_COMPUTE and call.module is None and not constants:
        return
    results = call.repeat([_other(_positions(source.shape)) for source in sources])
    for n, result in enumerate(results):
        wanted = sum(_other(torch.from_numpy(source.outputs[n])).numpy() for source in sources)
        if not np.array_equal(result.numpy(), wanted):
            raise NotMovesError("does more than move numbers and add zeros")


def _other(positions: Tensor) -> Tensor:
    """Return numbers that are no linear function of the positions, 0 for 0."""
    return torch.remainder(7 * positions * positions + 5 * positions, 100_003.0)


_MAY_COMPUTE = {"pad", "interpolate", "upsample"}


def _options(sources: Sequence[_Source], n: int, shape: Shape, grid: Grid) -> Iterator[Placed]:
    """Yield the readings of an output's axes that fit its numbers, the likeliest first."""
    for like in _likely(sources, n, shape, grid):
        lead = shape[: like.layout.lead]
        batch, time = _samples_and_steps(like.layout, lead, grid)
        time = time if like.step is None else np.full_like(time, like.step)
        features = like.layout.features(shape)
        if not prod(features):
            continue
        indices = [
            _index(source.outputs[n].reshape(prod(lead), -1), source, source.rows(batch, time))
            for source in sources
        ]
        if all(index is not None for index in indices):
            yield Placed(like, [index.reshape(features) for index in indices if index is not None])


def _likely(sources: Sequence[_Source], n: int, shape: Shape, grid: Grid) -> Iterator[Signal]:
    first = sources[0].signal
    alone = [
        layout
        for layout in dict.fromkeys((first.layout, *_ALONE))
        if shape[: layout.lead] == Grid(grid.batch, 1).lead(layout) and layout in _ALONE
    ]
    whole = dict.fromkeys((first.layout, first.layout.joined, *grid.possible_layouts(shape)))
    full = [
        layout
        for layout in whole
        if layout is not AxisLayout.STEP and shape[: layout.lead] == grid.lead(layout)
    ]
    steps = [source.signal.step for source in sources if source.signal.step is not None]
    if any(source.signal.sequence for source in sources):
        yield from (Signal("", layout) for layout in full)
        step = _shown_step(sources[0], n, grid)
        yield from (Signal("", layout, step) for layout in alone if step is not None)
    elif steps:
        yield from (Signal("", layout, max(steps)) for layout in alone)
    else:
        yield from (Signal("", layout, frame=layout is not AxisLayout.STEP) for layout in alone)
        yield from (Signal("", layout) for layout in full)


def _shown_step(source: _Source, n: int, grid: Grid) -> int | None:
    """Return the timestep of the first number of an output."""
    numbers = source.outputs[n].ravel()
    used = numbers[numbers > 0]
    if not used.size or not source.signal.sequence:
        return None
    row = int(used[0] - 1) // prod(source.features)
    lead = source.shape[: source.signal.layout.lead]
    return int(_samples_and_steps(source.signal.layout, lead, grid)[1][row])


def _index(numbers: Array, source: _Source, rows: Array) -> Array | None:
    """Return the source index of the features, or None if it is not the same everywhere."""
    size = prod(source.features)
    base = rows * size
    index = np.where(numbers[0] > 0, numbers[0] - 1 - base[0], ZERO).astype(np.int64)
    if (index < ZERO).any() or (index >= size).any() or (index[numbers[0] > 0] < 0).any():
        return None
    wanted = np.where(index == ZERO, 0, base[:, None] + index + 1)
    return index if np.array_equal(numbers, wanted) else None


def _samples_and_steps(layout: AxisLayout, lead: Shape, grid: Grid) -> tuple[Array, Array]:
    """Return sample and timestep of each row of a tensor whose leading axes have sizes ``lead``."""
    rows = np.arange(prod(lead))
    if layout is AxisLayout.STEP:
        return rows, np.zeros_like(rows)
    if layout in (AxisLayout.BATCH_TIME, AxisLayout.ROWS):
        return np.divmod(rows, lead[1] if layout.has_time_axis else grid.time)
    time, batch = np.divmod(rows, lead[1] if layout.has_time_axis else grid.batch)
    return batch, time


def _refusal(call: Call, shape: Shape, grid: Grid) -> str:
    given = ", ".join(str(value.shape) for value in call.inputs)
    return (
        f"turns {given} into {shape}, which mixes batch {grid.batch} or time {grid.time} with the "
        "features; arrays are (batch, time, *features) or (time, batch, *features) throughout, so "
        "reorder axes outside the network"
    )

"""State of a sample between two parts of its simulation, and the buffers of one part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.simulate.frame import FrameField, fixed_frame, point_to
from toolchain.chips.speck.simulate.pack import FlatProgram
from toolchain.chips.speck.simulate.tables import QueueField, Scratch

__all__ = ["Buffers", "NeuronGrid", "Resident", "at_rest"]

_CACHE_LINE = 64  # bytes


class NeuronGrid(NamedTuple):
    """Place of the neurons of one core in the array of all membranes.

    Attributes:
        shape: (channels, y, x).
        start: index of the first neuron.
        steps: distances in the array from one channel, y and x to the next.
    """

    shape: tuple[int, int, int]
    start: int
    steps: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, int, int], neurons: Array) -> NeuronGrid:
        """Return the grid of neurons whose indices (channels * y * x,) are in the order of axes."""
        places = neurons.reshape(shape)
        start = int(places[0, 0, 0])
        seconds = (places[1:2, 0, 0], places[0, 1:2, 0], places[0, 0, 1:2])
        return cls(shape, start, tuple(int(p[0]) - start if p.size else 1 for p in seconds))

    def view(self, membranes: Array) -> Array:
        """Return the membranes of the core (channels, y, x), a view."""
        size = membranes.itemsize
        strides = tuple(size * step for step in self.steps)
        return np.ndarray(self.shape, membranes.dtype, membranes, size * self.start, strides)


class Resident(NamedTuple):
    """State of one sample in the layout of the kernels; not changed, but replaced.

    Attributes:
        membranes: int16, int32 or int64.
        bounds: on the magnitudes of each core's membranes, int64.
        touched: the parts of each line that were changed since it was last updated, as bits,
            uint32; see ``ColumnField.TOUCHED``.
    """

    membranes: Array
    bounds: Array
    touched: Array

    def widened(self, dtype: npt.DTypeLike) -> Resident:
        """Return the same membranes in another type, with no bound known."""
        membranes = _aligned(len(self.membranes), dtype)
        membranes[:] = self.membranes
        return _unbounded(membranes, len(self.touched))

    def copy(self) -> Resident:
        """Return a copy, to be changed by a kernel."""
        membranes = _aligned(len(self.membranes), self.membranes.dtype)
        membranes[:] = self.membranes
        return Resident(membranes, self.bounds.copy(), self.touched.copy())


def at_rest(
    flat: FlatProgram,
    grids: Mapping[str, NeuronGrid],
    membranes: Mapping[str, Array],
    dtype: npt.DTypeLike,
) -> Resident:
    """Return the state of one sample with these membranes, int16 (channels, y, x) by core."""
    padded = _aligned(flat.size, dtype)
    padded[:] = 0
    for name, values in membranes.items():
        grids[name].view(padded)[:] = values
    return _unbounded(padded, flat.lines)


def _unbounded(membranes: Array, lines: int) -> Resident:
    return Resident(
        membranes=membranes,
        # no bound is known yet: the first addition computes it
        bounds=np.full(lines, np.iinfo(np.int64).max // 2),
        touched=np.full(lines, 2**32 - 1, np.uint32),
    )


def _aligned(size: int, dtype: npt.DTypeLike) -> Array:
    """Return an uninitialized array that starts at a cache line: vectors never cross two."""
    padded = np.empty(size + _CACHE_LINE, dtype)
    start = -padded.__array_interface__["data"][0] % _CACHE_LINE // padded.itemsize
    return padded[start : start + size]


class Buffers:
    """Arrays that a kernel records one part of one sample in.

    Attributes:
        spikes, history: of each recorded core (steps, channels, y, x), views; spikes are 0.
        counters: saturations, synops and spikes, int64 (3, cores); 0.
    """

    def __init__(self, flat: FlatProgram, shapes: Mapping[str, tuple[int, int, int]]) -> None:
        self._spikes = np.zeros(_length(flat.spikes), np.int32)
        self._history = np.zeros(_length(flat.history), np.int16)
        self.counters = np.zeros((3, len(flat.tables.cores)), np.int64)
        scratch = Scratch(
            queue=np.empty((len(QueueField), flat.neurons.size), np.int32),
            counted=np.zeros(flat.counted, np.uint8),
            spikes=self._spikes,
            history=self._history,
            saturations=self.counters[0],
            synops=self.counters[1],
            counts=self.counters[2],
        )
        # a frame has only addresses: these keep the arrays
        self._arrays = flat.tables, scratch
        self._frame = fixed_frame(*self._arrays)
        self.spikes = {
            name: _maps(self._spikes[place], shapes[name]) for name, place in flat.spikes.items()
        }
        self.history = {
            name: _maps(self._history[place], shapes[name]) for name, place in flat.history.items()
        }

    def start(self, before: Resident) -> tuple[Resident, Array]:
        """Return a copy of a state, and the frame of a kernel that changes the copy and these."""
        after, frame = before.copy(), self._frame.copy()
        point_to(frame, FrameField.MEMBRANES, after.membranes)
        point_to(frame, FrameField.BOUNDS, after.bounds)
        point_to(frame, FrameField.TOUCHED, after.touched)
        return after, frame

    def clear(self) -> None:
        """Set everything that was recorded to 0."""
        self._spikes[:] = 0
        self.counters[:] = 0


def _length(places: Mapping[str, slice]) -> int:
    return max((place.stop for place in places.values()), default=0)


def _maps(flat: Array, shape: tuple[int, int, int]) -> Array:
    """Return (steps, channels, y, x) of values in the order [step][y][x][channel], a view."""
    channels, height, width = shape
    maps = flat.reshape(flat.size // (channels * height * width), height, width, channels)
    return maps.transpose(0, 3, 1, 2)

"""State of a sample between two parts of its simulation, and the buffers of one part."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.simulate.frame import FrameField, fixed_frame
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

    It is one block, so that a step needs one copy and one address. The block begins at a cache
    line: vectors never cross two.

    Attributes:
        block: bounds, membranes and touched one after the other, as bytes.
        dtype: type of the membranes, int16, int32 or int64.
        size: number of membranes, with their margins.
        lines: number of bounds on the magnitudes of membranes, int64; and of bits that tell which
            parts of each line were changed, uint32, see ``ColumnField.TOUCHED``.
    """

    block: Array
    dtype: np.dtype[Any]
    size: int
    lines: int

    @classmethod
    def of(cls, membranes: Array, lines: int) -> Resident:
        """Return the state with these membranes, with no bound known and all lines touched."""
        size = len(membranes)
        places = _places(membranes.dtype, size, lines)
        state = cls(_aligned(places[3])[0], membranes.dtype, size, lines)
        state.membranes[:] = membranes
        # no bound is known yet: the first addition computes it
        state.block[: places[1]].view(np.int64)[:] = np.iinfo(np.int64).max // 2
        state.block[places[2] :] = 255
        return state

    @property
    def membranes(self) -> Array:
        """The membranes, a view."""
        start = _places(self.dtype, self.size, self.lines)[1]
        return np.ndarray(self.size, self.dtype, self.block, start)

    def widened(self, dtype: npt.DTypeLike) -> Resident:
        """Return the same membranes in another type, with no bound known."""
        return Resident.of(self.membranes.astype(dtype), self.lines)

    def copied_to(self, frame: Array) -> Resident:
        """Return a copy, and enter its parts into the frame of a kernel, which changes it."""
        block, address = _aligned(len(self.block))
        block[:] = self.block
        bounds, membranes, touched, _ = _places(self.dtype, self.size, self.lines)
        frame[FrameField.BOUNDS] = address + bounds
        frame[FrameField.MEMBRANES] = address + membranes
        frame[FrameField.TOUCHED] = address + touched
        return Resident(block, self.dtype, self.size, self.lines)


@lru_cache(maxsize=64)
def _places(dtype: np.dtype[Any], size: int, lines: int) -> tuple[int, int, int, int]:
    """Return the places of bounds, membranes and touched in a block, and its length, bytes."""
    membranes = -(-8 * lines // _CACHE_LINE) * _CACHE_LINE
    touched = membranes + -(-size * dtype.itemsize // _CACHE_LINE) * _CACHE_LINE
    return 0, membranes, touched, touched + 4 * lines


def _aligned(size: int) -> tuple[Array, int]:
    """Return uninitialized bytes that start at a cache line, and their address."""
    padded = np.empty(size + _CACHE_LINE, np.uint8)
    address: int = padded.ctypes.data
    start = -address % _CACHE_LINE
    return padded[start : start + size], address + start


def at_rest(
    flat: FlatProgram,
    grids: Mapping[str, NeuronGrid],
    membranes: Mapping[str, Array],
    dtype: npt.DTypeLike,
) -> Resident:
    """Return the state of one sample with these membranes, int16 (channels, y, x) by core."""
    padded = np.zeros(flat.size, dtype)
    for name, values in membranes.items():
        grids[name].view(padded)[:] = values
    return Resident.of(padded, flat.lines)


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
        frame = self._frame.copy()
        return before.copied_to(frame), frame

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

"""State of a sample between two parts of its simulation, and the buffers of one part."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.simulate.pack import FlatProgram
from toolchain.chips.speck.simulate.tables import State

__all__ = ["Buffers", "Resident", "at_rest", "membranes_of"]


class Resident(NamedTuple):
    """State of one sample in the layout of the kernels; not changed, but replaced.

    ``membranes`` is int16, int32 or int64; ``bounds`` and ``touched`` as in ``State``.
    """

    membranes: Array
    bounds: Array
    touched: Array

    def widened(self, dtype: npt.DTypeLike) -> Resident:
        """Return the same membranes in another type, with no bound known."""
        return _unbounded(self.membranes.astype(dtype), len(self.bounds))


def at_rest(flat: FlatProgram, membranes: Array, dtype: npt.DTypeLike) -> Resident:
    """Return the state with these membranes, int16 (neurons,) core by core [channel][y][x]."""
    padded = np.zeros(flat.size, dtype)
    padded[flat.neurons] = membranes
    return _unbounded(padded, flat.lines)


def membranes_of(flat: FlatProgram, state: Resident) -> Array:
    """Return the membranes, int16 (neurons,) core by core [channel][y][x]."""
    return np.asarray(state.membranes[flat.neurons].astype(np.int16))


def _unbounded(membranes: Array, lines: int) -> Resident:
    return Resident(
        membranes=membranes,
        # no bound is known yet: the first addition computes it
        bounds=np.full(lines, np.iinfo(np.int64).max // 2),
        touched=np.ones(lines, np.uint8),
    )


class Buffers:
    """Arrays that a kernel records one part of one sample in.

    Attributes:
        spikes, history: zeros and membranes of ``steps`` steps of each recorded core.
        counters: saturations, synops and spikes, int64 (3, cores).
    """

    def __init__(self, flat: FlatProgram) -> None:
        cores = len(flat.tables.cores)
        self.spikes = np.zeros(_length(flat.spikes), np.int32)
        self.history = np.zeros(_length(flat.history), np.int16)
        self.counters = np.zeros((3, cores), np.int64)

    def state(self, start: Resident) -> tuple[Resident, State]:
        """Return a copy of ``start``, and the arrays that a kernel changes: the copy and these."""
        after = Resident(*(part.copy() for part in start))
        saturations, synops, counts = self.counters
        return after, State(
            membranes=after.membranes,
            bounds=after.bounds,
            touched=after.touched,
            spikes=self.spikes,
            history=self.history,
            saturations=saturations,
            synops=synops,
            counts=counts,
        )

    def clear(self) -> None:
        """Set everything that was recorded to 0."""
        self.spikes[:] = 0
        self.counters[:] = 0


def _length(places: Any) -> int:
    return max((place.stop for place in places.values()), default=0)

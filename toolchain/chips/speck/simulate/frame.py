"""Addresses of all arrays that a compiled simulation reads and writes, as one array.

A compiled function with many arrays takes long to compile and to call, because each array is seven
arguments. So there is one, the *frame*.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.simulate.tables import State, Tables

__all__ = ["FrameField", "frame"]


class FrameField(IntEnum):
    """Entries of a frame: numbers, then addresses of the arrays of ``Tables`` and ``State``.

    CORE_COUNT: number of cores; QUEUE_SIZE and EVENT_COUNT: length of a row of the queue and of the
    input events.
    """

    CORE_COUNT = 0
    QUEUE_SIZE = 1
    EVENT_COUNT = 2
    EVENTS = 3
    CORES = 4
    TARGETS = 5
    ROWS = 6
    COLUMNS = 7
    WEIGHTS = 8
    QUADS = 9
    BIASES = 10
    MEMBRANES = 11
    BOUNDS = 12
    TOUCHED = 13
    QUEUE = 14
    COUNTED = 15
    SPIKES = 16
    HISTORY = 17
    SATURATIONS = 18
    SYNOPS = 19
    COUNTS = 20


_KINDS = {
    FrameField.EVENTS: "i4",
    FrameField.CORES: "i8",
    FrameField.TARGETS: "i8",
    FrameField.ROWS: "i4",
    FrameField.COLUMNS: "i4",
    FrameField.WEIGHTS: "i1",
    FrameField.QUADS: "i1",
    FrameField.BIASES: "i2",
    FrameField.BOUNDS: "i8",
    FrameField.TOUCHED: "u1",
    FrameField.QUEUE: "i4",
    FrameField.COUNTED: "u1",
    FrameField.SPIKES: "i4",
    FrameField.HISTORY: "i2",
    FrameField.SATURATIONS: "i8",
    FrameField.SYNOPS: "i8",
    FrameField.COUNTS: "i8",
}
"""Types that the compiled functions expect; that of the membranes is an argument."""


def frame(tables: Tables, state: State, events: Array) -> Array:
    """Return the frame of one sample, int64; it is valid as long as all these arrays exist.

    events: int32 (4, n) of step, y, channel * width + x, and count; steps ascending.
    """
    arrays = {FrameField[name.upper()]: array for name, array in tables._asdict().items()}
    arrays |= {FrameField[name.upper()]: array for name, array in state._asdict().items()}
    arrays[FrameField.EVENTS] = events
    entries = np.zeros(len(FrameField), np.int64)
    for field, array in arrays.items():
        kind = _KINDS.get(field, array.dtype)
        assert array.dtype == kind and array.flags.c_contiguous, field
        entries[field] = array.__array_interface__["data"][0]
    entries[FrameField.CORE_COUNT] = tables.cores.shape[0]
    entries[FrameField.QUEUE_SIZE] = state.queue.shape[1]
    entries[FrameField.EVENT_COUNT] = events.shape[1]
    return entries

"""Addresses of all arrays that a compiled simulation reads and writes, as one array.

A compiled function with many arrays takes long to compile and to call, because each array is seven
arguments. So there is one, the *frame*.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.simulate.tables import Scratch, Tables

__all__ = ["FrameField", "fixed_frame", "point_to"]


class FrameField(IntEnum):
    """Entries of a frame: numbers, then addresses of arrays.

    CORE_COUNT: number of cores; QUEUE_SIZE, EVENT_SIZE and SENT_SIZE: length of a row of the queue,
    of the events that arrive, and of the spikes that a core sends in event timing.
    """

    CORE_COUNT = 0
    QUEUE_SIZE = 1
    EVENT_SIZE = 2
    SENT_SIZE = 3
    CORES = 4
    TARGETS = 5
    ROWS = 6
    COLUMNS = 7
    WEIGHTS = 8
    QUADS = 9
    BIASES = 10
    QUEUE = 11
    COUNTED = 12
    SPIKES = 13
    HISTORY = 14
    SATURATIONS = 15
    SYNOPS = 16
    COUNTS = 17
    MEMBRANES = 18
    BOUNDS = 19
    TOUCHED = 20
    EVENTS = 21
    SENT = 22
    MOMENTS = 23


_TYPE_NAMES = {
    FrameField.CORES: "i8",
    FrameField.TARGETS: "i8",
    FrameField.ROWS: "i4",
    FrameField.COLUMNS: "i4",
    FrameField.WEIGHTS: "i1",
    FrameField.QUADS: "i1",
    FrameField.BIASES: "i2",
    FrameField.QUEUE: "i4",
    FrameField.COUNTED: "u1",
    FrameField.SPIKES: "i4",
    FrameField.HISTORY: "i2",
    FrameField.SATURATIONS: "i8",
    FrameField.SYNOPS: "i8",
    FrameField.COUNTS: "i8",
    FrameField.BOUNDS: "i8",
    FrameField.TOUCHED: "u4",
    FrameField.EVENTS: "i4",
    FrameField.SENT: "i4",
    FrameField.MOMENTS: "i8",
}
_TYPES = {field: np.dtype(name) for field, name in _TYPE_NAMES.items()}
"""Types that the compiled functions expect; that of the membranes is an argument of theirs."""

_SIZES = {
    FrameField.QUEUE: FrameField.QUEUE_SIZE,
    FrameField.EVENTS: FrameField.EVENT_SIZE,
    FrameField.SENT: FrameField.SENT_SIZE,
}


def point_to(frame: Array, field: FrameField, array: Array) -> None:
    """Enter an array into a frame; the frame is valid as long as the array exists.

    Rows must be contiguous, but there may be space between them.
    """
    assert array.dtype == _TYPES.get(field, array.dtype), field
    assert array.shape[-1] <= 1 or array.strides[-1] == array.itemsize, field
    frame[field] = array.__array_interface__["data"][0]
    if field in _SIZES:
        frame[_SIZES[field]] = array.strides[0] // array.itemsize


def fixed_frame(tables: Tables, scratch: Scratch) -> Array:
    """Return a frame, int64, with the arrays that are the same in each part of a simulation."""
    frame = np.zeros(len(FrameField), np.int64)
    for arrays in (tables, scratch):
        for name, array in arrays._asdict().items():
            assert array.flags.c_contiguous, name
            point_to(frame, FrameField[name.upper()], array)
    frame[FrameField.CORE_COUNT] = len(tables.cores)
    return frame

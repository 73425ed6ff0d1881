"""The clocked simulation of one part of one sample."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.simulate import kernel
from toolchain.chips.speck.simulate.buffers import Buffers, Resident
from toolchain.chips.speck.simulate.frame import FrameField, point_to

__all__ = ["clocked"]

_LIMITS = {
    np.dtype(np.int16): np.int16(2**15 - 1),
    np.dtype(np.int32): np.int32(2**31 - 1),
    np.dtype(np.int64): np.int64(2**62),
}
"""Types of membranes, narrowest and fastest first, with their largest magnitude."""


def clocked(steps: int, events: Array, start: Resident, buffers: Buffers) -> Resident:
    """Simulate ``steps`` steps from ``start`` on, record them in ``buffers``, return the new state.

    In 16 bits, and again with more if a sum overflows; the state then keeps the wider type.
    """
    while True:
        after, frame = buffers.start(start)
        point_to(frame, FrameField.EVENTS, events)
        if kernel.run(steps, events.shape[1], _LIMITS[start.membranes.dtype], frame):
            return after
        buffers.clear()
        start = start.widened(_WIDER[start.membranes.dtype])


_WIDER = {np.dtype(np.int16): np.int32, np.dtype(np.int32): np.int64}

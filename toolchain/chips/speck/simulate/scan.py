"""A raster as a list of events, compiled: what is not zero, found 64 inputs at a time."""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types, several sets of them.

from __future__ import annotations

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, inline_bare
from toolchain.chips.compiled.lanes import LANES

__all__ = ["count_events", "find_events"]

INLINED = "1a2be0314462"
"""Digest of the other files that are compiled into this one; see ``cache``."""

CHUNK = 2 * LANES


@inline_bare
def _busy(raster, at, stop):
    """Which of the (at most 64) inputs up to ``stop`` are not 0, as bits."""
    if at + CHUNK <= raster.size:
        bits = lanes.nonzero(lanes.load(raster, at))
        bits |= lanes.nonzero(lanes.load(raster, at + LANES)) << LANES
    else:
        bits = np.int64(0)
        for i in range(at, stop):
            bits |= np.int64(raster[i] != 0) << (i - at)
    return bits if stop - at >= CHUNK else bits & ((np.int64(1) << (stop - at)) - 1)


@compiled_bare
def count_events(raster):
    """How many of a flat raster are not 0."""
    found = np.int64(0)
    for at in range(0, raster.size, CHUNK):
        found += lanes.count(_busy(raster, at, min(at + CHUNK, raster.size)))
    return found


@compiled_bare
def find_events(raster, steps, height, width, most, events):
    """The non-zeros of a flat raster [step][channel][y][x], in order.

    ``events`` (4, non-zeros) is filled with rows of step, y, channel * width + x, and count.
    False where a count is no whole number from 0 to ``most``.
    """
    found, good, size = 0, True, raster.size // max(1, steps)
    for step in range(steps):
        for start in range(0, size, CHUNK):
            at = step * size + start
            bits = _busy(raster, at, at + min(CHUNK, size - start))
            while bits:
                address = start + lanes.lowest(bits)
                bits &= bits - 1
                value = raster[step * size + address]
                good &= value > 0 and value <= most and np.floor(value) == value
                line, x = address // width, address % width
                events[0, found] = step
                events[1, found] = line % height
                events[2, found] = line // height * width + x
                events[3, found] = np.int64(value) if good else 0
                found += 1
    return good

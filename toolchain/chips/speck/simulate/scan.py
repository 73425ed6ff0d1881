"""Conversion of a raster to events, compiled: non-zeros are found 64 inputs at a time."""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types, several sets of them.

from __future__ import annotations

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, inline_bare
from toolchain.chips.compiled.lanes import LANES, put

__all__ = ["count_events", "find_events"]

INLINED = "b939c212d248"
"""Digest of the other files that are compiled into this one; see ``cache``."""

CHUNK = 2 * LANES


@inline_bare
def _nonzero_bits(raster, at, stop):
    """Return as bits which of the (at most 64) inputs up to ``stop`` are not 0."""
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
    """Return the number of non-zeros in a flat raster."""
    found = np.int64(0)
    for at in range(0, raster.size, CHUNK):
        found += lanes.count(_nonzero_bits(raster, at, min(at + CHUNK, raster.size)))
    return found


@compiled_bare
def find_events(raster, steps, height, width, most, events):
    """Write the non-zeros of a flat raster [step][channel][y][x] to ``events``, in order.

    ``events`` (4, non-zeros) is filled with rows of step, y, channel * width + x, and count.
    Returns False if a count is not a whole number from 0 to ``most``.
    """
    found, good, size = np.int64(0), True, raster.size // max(1, steps)
    number = events.shape[1]
    for step in range(steps):
        # of the line of the last event: its end, y, and the column of its x = 0
        end, y, column = width, np.int64(0), np.int64(0)
        for start in range(0, size, CHUNK):
            at = step * size + start
            bits = _nonzero_bits(raster, at, at + min(CHUNK, size - start))
            while bits:
                address = start + lanes.lowest(bits)
                bits &= bits - 1
                while address >= end:
                    end += width
                    y += 1
                    if y == height:
                        y, column = np.int64(0), column + width
                value = raster[step * size + address]
                good &= value > 0 and value <= most and np.floor(value) == value
                put(events, found, step)
                put(events, number + found, y)
                put(events, 2 * number + found, column + address - end + width)
                put(events, 3 * number + found, np.int64(value) if good else 0)
                found += 1
    return good

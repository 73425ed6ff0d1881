"""Spike rasters from outside: what is refused, and how one becomes a list of events."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.speck import kernel

__all__ = ["MOST_SPIKES", "as_batch", "events_of"]

Array = npt.NDArray[Any]

MOST_SPIKES = 32767
"""Largest count of one address in one step. A bound of the simulator, which proves with it that
its sums cannot overflow; the chip takes events one by one and has none.
"""

_WORKING = {"i1": "i2", "u2": "i4", "u4": "i8", "f2": "f4"}
"""Types that are widened first, so that few versions of the scan need compiling."""


def as_batch(raster: npt.ArrayLike, shape: tuple[int, int, int]) -> Array:
    """(batch, steps, channels, y, x), contiguous, of a plain numeric type.

    Raises:
        ValueError: something else than numbers, or not (steps, *shape) or (batch, steps, *shape).
    """
    array = np.asarray(raster)
    if array.dtype.kind not in "buif":
        raise ValueError(f"a raster holds spike counts as integers, got dtype {array.dtype}")
    if array.ndim not in (4, 5) or array.shape[-3:] != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(
            f"a raster has shape (steps, {wanted}) or (batch, steps, {wanted}), got {array.shape}"
        )
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    elif array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    working = _WORKING.get(array.dtype.str[1:], array.dtype.str[1:])
    array = np.ascontiguousarray(array, dtype=working)
    return array if array.ndim == 5 else array[None]


def events_of(batch: Array, sample: int) -> tuple[Array, int]:
    """Events (3, n) of one sample as (step, address, count), and its largest count.

    Raises:
        ValueError: counts that are negative, not whole, not finite or above ``MOST_SPIKES``.
    """
    steps = batch[sample].reshape(batch.shape[1], math.prod(batch.shape[2:]))
    if steps.size == 0:
        return np.zeros((3, 0), np.int32), 0
    found, lowest, highest, whole = kernel.survey(steps.reshape(-1))
    if not (whole and lowest >= 0 and highest <= MOST_SPIKES):
        raise ValueError(_complaint(batch[sample], sample))
    events = np.empty((3, found), np.int32)
    kernel.find_events(steps, events)
    return events, int(highest)


def _complaint(steps: Array, sample: int) -> str:
    with np.errstate(invalid="ignore"):
        good = (steps >= 0) & (steps <= MOST_SPIKES) & (np.floor(steps) == steps)
    step, channel, y, x = np.argwhere(~good)[0].tolist()
    return (
        f"a raster holds whole spike counts from 0 to {MOST_SPIKES}, got "
        f"{steps[step, channel, y, x]} at sample {sample}, step {step}, "
        f"channel {channel}, y {y}, x {x}"
    )

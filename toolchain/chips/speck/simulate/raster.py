"""Spike rasters from outside: their checks, and their conversion to events."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.runs.spikes import plain_array

__all__ = ["MOST_SPIKES", "Rasters", "Samples", "squeeze_map"]

MOST_SPIKES = 32767
"""Largest count of one address in one step. A limit of the simulator, so that its sums fit in 64
bits; the chip processes events one by one and has none.
"""

_PLAIN = frozenset(np.dtype(name) for name in ("u1", "i2", "i4", "i8", "f4", "f8"))
"""Types that are taken as they are."""
_WORKING = {"i1": "i2", "u2": "i4", "u4": "i8", "f2": "f4"}
"""Types that are widened first, so that fewer versions of the scan are compiled."""


class Samples(Protocol):
    """Input of a simulation, sample by sample."""

    @property
    def steps(self) -> int:
        """Simulated steps, the same for each sample."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def events(self, sample: int, start: int = 0, stop: int | None = None) -> Array:
        """Return the events from step ``start`` to ``stop`` of one sample; by default all.

        int32 (4, n): step from ``start`` on, y, channel * width + x, and count; steps ascending.
        """

    def timed(self, sample: int, start: int = 0, stop: int | None = None) -> tuple[Array, Array]:
        """Return the same events, and the time of each, µs; int64 (n,)."""

    def counts(self) -> Array:
        """Return the spikes of each sample whose events were read, int64 (batch,)."""


class Rasters:
    """A batch of rasters (batch, steps, channels, y, x), contiguous, of a plain numeric type.

    Args:
        raster: (steps, channels, y, x), or a batch of them.
        shape: expected (channels, y, x).
        dt: length of a step, µs, or 0 if unknown.
        first: number of the first step; times begin at its start.

    Raises:
        ValueError: a type that is not numeric, or another shape.
    """

    def __init__(
        self, raster: npt.ArrayLike, shape: tuple[int, int, int], dt: int = 0, first: int = 0
    ) -> None:
        self._batch = _as_batch(raster, shape)
        self._dt, self._first = dt, first
        self._counts: list[dict[int, int]] = [{} for _ in range(len(self._batch))]

    @property
    def steps(self) -> int:
        """Simulated steps."""
        return int(self._batch.shape[1])

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._batch)

    def events(self, sample: int, start: int = 0, stop: int | None = None) -> Array:
        """Return the events of some steps of one sample, by step, channel, y and x.

        Raises:
            ValueError: counts that are negative, not whole, not finite or above ``MOST_SPIKES``.
        """
        # numba takes a third of a second to import; a chip alone needs none of it
        from toolchain.chips.speck.simulate import scan

        part = self._batch[sample, start:stop]
        flat = part.reshape(-1)
        events = np.empty((4, scan.count_events(flat)), np.int32)
        if not scan.find_events(flat, len(part), *part.shape[2:], MOST_SPIKES, events):
            raise ValueError(_complaint(part, sample, start))
        # by the first step: a part that is simulated again is counted once
        self._counts[sample][start] = int(np.add.reduce(events[3], dtype=np.int64))
        return events

    def timed(self, sample: int, start: int = 0, stop: int | None = None) -> tuple[Array, Array]:
        """Return the events of some steps, and the start time of each one's step, µs."""
        events = self.events(sample, start, stop)
        return events, (events[0].astype(np.int64) + (self._first + start)) * self._dt

    def counts(self) -> Array:
        """Return the spikes of each sample whose events were read so far."""
        return np.array([sum(counts.values()) for counts in self._counts], np.int64)


def _as_batch(raster: npt.ArrayLike, shape: tuple[int, int, int]) -> Array:
    if type(raster) is np.ndarray and raster.dtype in _PLAIN and raster.shape[2:] == shape:
        # as an online loop gives it, step by step
        return raster if raster.flags.c_contiguous else np.ascontiguousarray(raster)
    array = plain_array(raster, "raster")
    if array.dtype.kind not in "buif":
        raise ValueError(f"a raster must contain spike counts as numbers, got dtype {array.dtype}")
    if array.ndim not in (4, 5) or array.shape[-3:] != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(
            f"a raster must have shape (steps, {wanted}) or (batch, steps, {wanted}), "
            f"got {array.shape}"
        )
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    elif array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    working = _WORKING.get(array.dtype.str[1:], array.dtype.str[1:])
    array = np.ascontiguousarray(array, dtype=working)
    return array if array.ndim == 5 else array[None]


def _complaint(steps: Array, sample: int, start: int) -> str:
    with np.errstate(invalid="ignore"):
        good = (steps >= 0) & (steps <= MOST_SPIKES) & (np.floor(steps) == steps)
    step, channel, y, x = np.argwhere(~good)[0].tolist()
    return (
        f"a raster must contain whole spike counts from 0 to {MOST_SPIKES}, got "
        f"{steps[step, channel, y, x]} at sample {sample}, step {start + step}, "
        f"channel {channel}, y {y}, x {x}"
    )


def squeeze_map(spikes: Array) -> Array:
    """Return (batch, steps, channels) of a map of one pixel, any other unchanged."""
    return spikes[..., 0, 0] if spikes.shape[-2:] == (1, 1) else np.ascontiguousarray(spikes)

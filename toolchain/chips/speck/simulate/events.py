"""Event arrays from outside: their checks, and the columns that a simulation reads.

An event array is a structured numpy array with the fields ``x, y, t, p`` in this order: column,
row, time in µs and channel. It is simulated without a raster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.runs.spikes import are_events, check_unmasked

__all__ = ["FIELDS", "MOST_STEPS", "EventArrays", "are_events", "event_array", "in_microseconds"]

FIELDS = ("x", "y", "t", "p")

MOST_STEPS = 1_000_000
"""Steps of one simulation of events: times since 1970, taken for times since the start, would
otherwise exhaust the memory.
"""

_LATEST = 2**62
_DTYPE = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")])


def in_microseconds(dt: float) -> int:
    """Convert a length in s to whole µs.

    Raises:
        ValueError: not a number, or not a whole number of µs >= 1.
    """
    exact = dt * 1e6 if isinstance(dt, int | float | np.number) else float("nan")
    whole = round(exact) if np.isfinite(exact) else 0
    if whole < 1 or abs(exact - whole) > 1e-6 * whole:
        raise ValueError(f"dt must be a whole number of µs, at least 1e-6 s, got {dt!r}")
    return whole


class EventArrays:
    """A batch of checked event streams.

    Args:
        events: an event array, or one for each sample.
        shape: (channels, y, x) of the input.
        dt: length of a step, µs.
        steps: number of steps; by default up to the last event of all samples.

    Raises:
        ValueError: invalid events, fields or dtypes; the message has the first invalid event.
    """

    def __init__(
        self,
        events: Array | Sequence[Array],
        shape: tuple[int, int, int],
        dt: int,
        steps: int | None = None,
    ) -> None:
        parts = events if isinstance(events, list | tuple) else [events]
        self._width = shape[2]
        self._dt = dt
        self._streams = [_checked(part, n, shape) for n, part in enumerate(parts)]
        self._steps = self._last_step(steps)

    @property
    def steps(self) -> int:
        """Simulated steps, the same for each sample."""
        return self._steps

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._streams)

    def events(self, sample: int) -> Array:
        """Return int32 (4, n): step, y, channel * width + x, and one."""
        x, y, t, p = self._streams[sample]
        return np.array([t // self._dt, y, p * self._width + x, np.ones_like(x)], np.int32)

    def times(self, sample: int, events: Array) -> Array:
        """Return the time of each event, µs."""
        del events
        return np.asarray(self._streams[sample][2])

    def counts(self) -> Array:
        """Return the number of events of each sample."""
        return np.array([stream.shape[1] for stream in self._streams], np.int64)

    def _last_step(self, steps: int | None) -> int:
        ends = [int(stream[2, -1]) if stream.shape[1] else -1 for stream in self._streams]
        if steps is None:
            for sample, end in enumerate(ends):
                if end < 0:
                    raise ValueError(
                        f"sample {sample} has no events: give steps=... to simulate it"
                    )
            steps = max(ends) // self._dt + 1
        elif type(steps) is not int or steps < 0:
            raise ValueError(f"steps must be an integer >= 0, got {steps!r}")
        if steps > MOST_STEPS:
            raise ValueError(
                f"the last event, at t = {max(ends)} µs, is in step {steps - 1} of {self._dt} µs, "
                f"and at most {MOST_STEPS} steps are simulated: start t at 0, or use a longer dt"
            )
        for sample, stream in enumerate(self._streams):
            late = np.flatnonzero(stream[2] >= steps * self._dt)
            if late.size:
                raise ValueError(
                    f"event {late[0]} of sample {sample} is at t = {stream[2, late[0]]} µs, after "
                    f"the end of {steps} steps of {self._dt} µs"
                )
        return steps


def event_array(x: Array, y: Array, t: Array, p: Array) -> Array:
    """Return an event array of these columns."""
    events = np.empty(len(t), _DTYPE)
    events["x"], events["y"], events["t"], events["p"] = x, y, t, p
    return events


def _checked(events: Any, sample: int, shape: tuple[int, int, int]) -> Array:
    """Check an event array; return its columns x, y, t, p, int64 (4, n)."""
    check_unmasked(events, f"sample {sample}")
    names = getattr(getattr(events, "dtype", None), "names", None)
    if not isinstance(events, np.ndarray) or names != FIELDS or events.ndim != 1:
        got = type(events).__name__ if names is None else f"fields {', '.join(names)}"
        raise ValueError(
            f"sample {sample}: an event array must be one-dimensional with the fields x, y, t, p "
            f"in this order (column, row, µs, channel), got {got}"
            + (f" of shape {events.shape}" if isinstance(events, np.ndarray) else "")
        )
    for name in FIELDS:
        kind = events.dtype[name]
        if kind.kind not in "buif" or kind.shape:
            raise ValueError(
                f"sample {sample}: field {name!r} of an event array must hold whole numbers, "
                f"got dtype {kind}"
            )
    highest = {"x": shape[2] - 1, "y": shape[1] - 1, "t": _LATEST, "p": shape[0] - 1}
    good = np.ones(len(events), bool)
    with np.errstate(invalid="ignore"):
        for name, most in highest.items():
            value = events[name]
            if value.dtype.kind == "f":
                value = value.astype(np.float64)
                good &= np.floor(value) == value
            good &= (value >= 0) & (value <= most)
        good[1:] &= ~(events["t"][1:] < events["t"][:-1])
    if not good.all():
        raise ValueError(_complaint(events, int(np.argmin(good)), sample, highest))
    return np.array([events[name].astype(np.int64) for name in FIELDS])


def _complaint(events: Array, index: int, sample: int, highest: dict[str, int]) -> str:
    got = ", ".join(f"{name} = {events[name][index]}" for name in FIELDS)
    before = f" after t = {events['t'][index - 1]}" if index else ""
    return (
        f"event {index} of sample {sample} is {got}{before}; expected whole numbers, x from 0 to "
        f"{highest['x']}, y from 0 to {highest['y']}, p from 0 to {highest['p']}, and t in µs, "
        ">= 0 and not decreasing"
    )

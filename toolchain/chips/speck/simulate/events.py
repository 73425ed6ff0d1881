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

__all__ = [
    "EVENT",
    "FIELDS",
    "MOST_STEPS",
    "EventArrays",
    "are_events",
    "event_array",
    "in_microseconds",
]

FIELDS = ("x", "y", "t", "p")

MOST_STEPS = 1_000_000
"""Steps of a raster that is built of events: times since 1970, taken for times since the start,
would otherwise exhaust the memory. A simulation has no such limit.
"""

_AT_ONCE = 2**20
"""Events that are checked at a time, so that the check needs little memory."""
_LATEST = 2**62
EVENT = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")])


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
    """A batch of checked event streams, which are not copied except for their times.

    Args:
        events: an event array, or one for each sample.
        shape: (channels, y, x) of the input.
        dt: length of a step, µs.
        steps: number of steps; by default up to the last event of all samples.
        first: number of the first step: the steps before it are over, and events in them invalid.
        empty: whether no events at all and no ``steps`` are a stream of no steps.
        most: largest number of steps; None for no limit.

    Raises:
        ValueError: invalid events, fields or dtypes; the message has the first invalid event.
    """

    def __init__(
        self,
        events: Array | Sequence[Array],
        shape: tuple[int, int, int],
        dt: int,
        steps: int | None = None,
        *,
        first: int = 0,
        empty: bool = False,
        most: int | None = None,
    ) -> None:
        self._streams: list[Array] = [events] if isinstance(events, np.ndarray) else list(events)
        self._width, self._dt, self._first = shape[2], dt, first
        self._times = [_checked(stream, n, shape) for n, stream in enumerate(self._streams)]
        self._check_start()
        self._steps = self._length(steps, empty)
        self._check_end(most)

    @property
    def steps(self) -> int:
        """Simulated steps, the same for each sample."""
        return self._steps

    @property
    def last(self) -> int:
        """Time of the last event of all samples, µs; -1 without events."""
        return max((int(times[-1]) for times in self._times if times.size), default=-1)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._streams)

    def events(self, sample: int, start: int = 0, stop: int | None = None) -> Array:
        """Return int32 (4, n): step from ``start`` on, y, channel * width + x, and one."""
        return self.timed(sample, start, stop)[0]

    def timed(self, sample: int, start: int = 0, stop: int | None = None) -> tuple[Array, Array]:
        """Return the events of some steps, and the time of each, µs."""
        stop = self._steps if stop is None else stop
        first, times = self._first + start, self._times[sample]
        limits = [min(step * self._dt, _LATEST + 1) for step in (first, self._first + stop)]
        part = slice(*np.searchsorted(times, limits).tolist())
        stream, times = self._streams[sample][part], times[part]
        events = np.ones((4, times.size), np.int32)
        events[0] = times // self._dt - first
        events[1] = stream["y"]
        events[2] = stream["p"].astype(np.int64) * self._width + stream["x"].astype(np.int64)
        return events, times

    def counts(self) -> Array:
        """Return the number of events of each sample."""
        return np.array([len(stream) for stream in self._streams], np.int64)

    def _check_start(self) -> None:
        start = self._first * self._dt
        for sample, times in enumerate(self._times):
            if times.size and times[0] < start:
                raise ValueError(
                    f"event 0 of sample {sample} is at t = {times[0]} µs, before t = {start} µs, "
                    f"the end of the {self._first} steps of {self._dt} µs that were simulated: "
                    "times are since the start of the session, and a piece ends with a step"
                )

    def _length(self, steps: int | None, empty: bool) -> int:
        if steps is not None:
            # times are numpy's, and so is a number of steps computed from them
            whole = isinstance(steps, int | np.integer) and not isinstance(steps, bool)
            if not whole or steps < 0:
                raise ValueError(f"steps must be an integer >= 0, got {steps!r}")
            return int(steps)
        if self.last < 0:
            if empty or not self._streams:
                return 0
            raise ValueError("sample 0 has no events: give steps=... to simulate it")
        return self.last // self._dt + 1 - self._first

    def _check_end(self, most: int | None) -> None:
        if most is not None and self._steps > most:
            raise ValueError(
                f"the last event, at t = {self.last} µs, is in step {self._steps - 1} of "
                f"{self._dt} µs, and a raster has at most {most} steps: start t at 0, or use a "
                "longer dt"
            )
        end = (self._first + self._steps) * self._dt
        for sample, times in enumerate(self._times):
            if times.size and times[-1] >= end:
                late = int(np.searchsorted(times, end))
                raise ValueError(
                    f"event {late} of sample {sample} is at t = {times[late]} µs, after "
                    f"the end of {self._first + self._steps} steps of {self._dt} µs"
                )


def event_array(x: Array, y: Array, t: Array, p: Array) -> Array:
    """Return an event array of these columns."""
    events = np.empty(len(t), EVENT)
    events["x"], events["y"], events["t"], events["p"] = x, y, t, p
    return events


def _checked(events: Any, sample: int, shape: tuple[int, int, int]) -> Array:
    """Check an event array; return its times, int64 (n,)."""
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
    for start in range(0, len(events), _AT_ONCE):
        # with the event before, for the order of times
        before = max(0, start - 1)
        good = _good(events[before : start + _AT_ONCE], highest)
        if not good.all():
            raise ValueError(_complaint(events, before + int(np.argmin(good)), sample, highest))
    return events["t"].astype(np.int64)


def _good(events: Array, highest: dict[str, int]) -> Array:
    """Return which events are valid: whole numbers in range, and no time before the last."""
    good = np.ones(len(events), bool)
    with np.errstate(invalid="ignore"):
        for name, most in highest.items():
            value = events[name]
            if value.dtype.kind == "f":
                value = value.astype(np.float64)
                good &= np.floor(value) == value
            good &= (value >= 0) & (value <= most)
        good[1:] &= ~(events["t"][1:] < events["t"][:-1])
    return good


def _complaint(events: Array, index: int, sample: int, highest: dict[str, int]) -> str:
    got = ", ".join(f"{name} = {events[name][index]}" for name in FIELDS)
    before = f" after t = {events['t'][index - 1]}" if index else ""
    return (
        f"event {index} of sample {sample} is {got}{before}; expected whole numbers, x from 0 to "
        f"{highest['x']}, y from 0 to {highest['y']}, p from 0 to {highest['p']}, and t in µs, "
        ">= 0 and not decreasing"
    )

"""The event camera of a Speck chip and the processing of its events before the cores.

Only addresses change, one event at a time: polarities are merged, addresses divided, those outside
a rectangle dropped, the rest counted from its corner, mirrored and swapped. There is no sum and no
state, so a raster of counts is processed in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck import faults
from toolchain.chips.speck.core import MapShape
from toolchain.chips.speck.simulate.events import FIELDS, event_array
from toolchain.chips.speck.simulate.raster import Samples
from toolchain.ir import Sensor
from toolchain.ir.sensor import sense
from toolchain.runs.spikes import check_unmasked, plain_array

__all__ = ["EventFilter", "SensorSamples", "SpeckSensor", "from_plain", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Settings of the filter behind the pre-processing, which is not simulated.

    Attributes:
        enable: whether it is on.
        filter_size: (y, x) of the window of neighbours; (0, 0) in low-pass mode.
        threshold: time in ticks of the slow clock. An event passes if a neighbour fired within
            it; in low-pass mode, if its own pixel did not.
        hot_pixel_filter_enable: whether pixels that fire all the time are dropped, too.
        low_pass_mode_enable: whether each pixel is filtered alone.

    Raises:
        ValueError: numbers that are not integers >= 0, flags that are not bool, a window in
            low-pass mode or no window otherwise, or hot pixels and low-pass together.

    Source: Speck Dev Kit manual, DVS event filter.

    >>> noise = EventFilter(filter_size=(3, 3), threshold=4)  # keep events with recent neighbours
    >>> print(SpeckSensor(cut=(127, 127), filter=noise))
    sensor sensor: pooling 1x1, origin 0x0, cut 127x127, filtered
    """

    enable: bool = True
    filter_size: tuple[int, int] = (1, 1)
    threshold: int = 1
    hot_pixel_filter_enable: bool = False
    low_pass_mode_enable: bool = False

    def __post_init__(self) -> None:
        if found := [*self._faults()]:
            raise ValueError("EventFilter: " + "; ".join(found))
        object.__setattr__(self, "filter_size", faults.as_ints(self.filter_size, 2))
        object.__setattr__(self, "threshold", faults.as_int(self.threshold))

    def _faults(self) -> Iterator[str]:
        yield from _flags(self, ("enable", "hot_pixel_filter_enable", "low_pass_mode_enable"))
        size, ticks = faults.as_ints(self.filter_size, 2), faults.as_int(self.threshold)
        if size is None or min(size) < 0:
            yield f"filter_size must be (y, x), integers >= 0, got {self.filter_size!r}"
        elif self.low_pass_mode_enable and any(size):
            yield f"filter_size must be (0, 0) in low-pass mode, got {self.filter_size}"
        elif not self.low_pass_mode_enable and min(size) < 1:
            yield f"filter_size must be >= 1 outside low-pass mode, got {self.filter_size}"
        if ticks is None or ticks < 0:
            yield f"threshold must be an integer >= 0, got {self.threshold!r}"
        if self.low_pass_mode_enable and self.hot_pixel_filter_enable:
            yield "the low-pass mode and the hot pixel filter exclude each other"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeckSensor:
    """Address processing of the camera, in the order of the fields; pairs are (y, x).

    Its destinations are the program's ``inputs``.

    Attributes:
        name: the user's name of the layer.
        merge: whether both polarities go to channel 0.
        pooling: divisor of the addresses, >= 1.
        origin, cut: first and last address of the pooled map that is kept, both inclusive.
        mirror_y, mirror_x: whether addresses count from ``cut`` instead of ``origin``.
        swap: whether y and x are exchanged.
        pixel_array: whether the chip's own pixels send events; else only events from outside
            enter.
        filter: filter behind the steps above; None keeps the chip's default.

    Raises:
        ValueError: with every fault.

    Source: sinabs documentation, "Speck overview" and ``DVSLayer``, which sets the same fields;
    Speck Dev Kit manual.

    >>> sensor = SpeckSensor(pooling=(2, 2), cut=(15, 15), merge=True)
    >>> sensor.output_shape((2, 32, 32))
    (1, 16, 16)
    >>> print(sensor)
    sensor sensor: pooling 2x2, origin 0x0, cut 15x15, merge
    """

    name: str = "sensor"
    merge: bool = False
    pooling: tuple[int, int] = (1, 1)
    origin: tuple[int, int] = (0, 0)
    cut: tuple[int, int]
    mirror_y: bool = False
    mirror_x: bool = False
    swap: bool = False
    pixel_array: bool = False
    filter: EventFilter | None = None

    def __post_init__(self) -> None:
        if found := [*self._faults()]:
            raise ValueError("SpeckSensor: " + "; ".join(found))
        for name in ("pooling", "origin", "cut"):
            object.__setattr__(self, name, faults.as_ints(getattr(self, name), 2))

    def _faults(self) -> Iterator[str]:
        yield from _flags(self, ("merge", "mirror_y", "mirror_x", "swap", "pixel_array"))
        ends = []
        for name, least in (("pooling", 1), ("origin", 0), ("cut", 0)):
            value = faults.as_ints(getattr(self, name), 2)
            ends.append(value)
            if value is None or min(value) < least:
                yield f"{name} must be (y, x), integers >= {least}, got {getattr(self, name)!r}"
        _, origin, cut = ends
        if origin and cut and (origin[0] > cut[0] or origin[1] > cut[1]):
            yield f"origin {origin} must not exceed cut {cut}"

    @classmethod
    def of(cls, node: Sensor, name: str) -> SpeckSensor:
        """Return the sensor for node ``name`` of a graph."""
        (top, left), (height, width) = node.origin, node.size
        return cls(
            name=name,
            merge=node.merge,
            pooling=node.pool,
            origin=node.origin,
            cut=(top + height - 1, left + width - 1),
            mirror_y=node.flip_y,
            mirror_x=node.flip_x,
            swap=node.swap_xy,
            pixel_array=node.pixel_array,
        )

    @property
    def size(self) -> tuple[int, int]:
        """(y, x) of the part of the pooled map that is kept."""
        return self.cut[0] - self.origin[0] + 1, self.cut[1] - self.origin[1] + 1

    def output_shape(self, input_shape: MapShape) -> MapShape:
        """Return (channels, y, x) behind the sensor for events of ``input_shape``."""
        height, width = self.size
        channels = 1 if self.merge else input_shape[0]
        return (channels, width, height) if self.swap else (channels, height, width)

    def beyond(self, sides: tuple[int, ...]) -> Iterator[str]:
        """Yield a fault if the crop exceeds the pooled map of these ``sides``."""
        pooled = tuple(side // pooling for side, pooling in zip(sides, self.pooling, strict=True))
        if self.cut[0] >= pooled[0] or self.cut[1] >= pooled[1]:
            size = faults.shape_text(pooled)
            yield f"{self.name} crops up to {self.cut}, the pooled map is {size}"

    def addresses(self, channel: Array, y: Array, x: Array) -> tuple[Array, Array, Array, Array]:
        """Return whether each event is kept, and its channel, y and x behind the sensor."""
        y, x = y // self.pooling[0], x // self.pooling[1]
        (top, left), (bottom, right) = self.origin, self.cut
        kept = (top <= y) & (y <= bottom) & (left <= x) & (x <= right)
        y = bottom - y if self.mirror_y else y - top
        x = right - x if self.mirror_x else x - left
        channel = np.zeros_like(channel) if self.merge else channel
        return (kept, channel, x, y) if self.swap else (kept, channel, y, x)

    def of_events(self, events: Array) -> Array:
        """Return an event array behind the sensor; fields ``x, y, t, p``, ``p`` the channel.

        Raises:
            ValueError: other fields, or values that are not integers.
        """
        check_unmasked(events, "events")
        if events.dtype.names != FIELDS or any(
            events.dtype[name].kind not in "bui" for name in FIELDS
        ):
            raise ValueError(
                f"an event array must have the integer fields x, y, t, p, got {events.dtype}"
            )
        x, y, t, p = (events[name].astype(np.int64) for name in FIELDS)
        kept, p, y, x = self.addresses(p, y, x)
        return event_array(x[kept], y[kept], t[kept], p[kept])

    def of_raster(self, raster: Array) -> Array:
        """Return counts (batch, steps, channels, y, x) behind the sensor."""
        return sense(self._node(), plain_array(raster, "raster"))

    def _node(self) -> Sensor:
        return Sensor(
            merge=self.merge,
            pool=self.pooling,
            origin=self.origin,
            size=self.size,
            flip_y=self.mirror_y,
            flip_x=self.mirror_x,
            swap_xy=self.swap,
            pixel_array=self.pixel_array,
        )

    def __str__(self) -> str:
        """Return one stable line; flags only where they are set."""
        pairs = {"pooling": self.pooling, "origin": self.origin, "cut": self.cut}
        words = [f"{name} {faults.shape_text(value)}" for name, value in pairs.items()]
        flags = ("merge", "mirror_y", "mirror_x", "swap", "pixel_array")
        words += [name for name in flags if getattr(self, name)]
        if self.filter is not None and self.filter.enable:
            words.append("filtered")
        return f"sensor {self.name}: {', '.join(words)}"


class SensorSamples:
    """Samples behind the sensor.

    Args:
        samples: input of the camera.
        sensor: its settings.
        shape: (channels, y, x) of its input.
    """

    def __init__(self, samples: Samples, sensor: SpeckSensor, shape: MapShape) -> None:
        self._samples, self._sensor = samples, sensor
        self._width, self._sent = shape[2], sensor.output_shape(shape)[2]

    @property
    def steps(self) -> int:
        """Simulated steps."""
        return self._samples.steps

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def events(self, sample: int, start: int = 0, stop: int | None = None) -> Array:
        """Return int32 (4, n) of the events kept: step, y, channel * width + x, and count."""
        return self._behind(self._samples.events(sample, start, stop))[0]

    def timed(self, sample: int, start: int = 0, stop: int | None = None) -> tuple[Array, Array]:
        """Return the events kept, and the time of each, µs."""
        seen, times = self._samples.timed(sample, start, stop)
        events, kept = self._behind(seen)
        return events, np.asarray(times[kept])

    def counts(self) -> Array:
        """Return the number of camera events of each sample."""
        return self._samples.counts()

    def _behind(self, seen: Array) -> tuple[Array, Array]:
        """Return the events behind the sensor, and which of ``seen`` they are."""
        channel, x = np.divmod(seen[2], self._width)
        kept, channel, y, x = self._sensor.addresses(channel, seen[1], x)
        moved = np.array([seen[0], y, channel * self._sent + x, seen[3]], np.int32)
        return np.compress(kept, moved, axis=1), kept


def _flags(thing: object, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if not isinstance(getattr(thing, name), bool):
            yield f"{name} must be True or False, got {getattr(thing, name)!r}"


def plain(thing: SpeckSensor | EventFilter) -> dict[str, Any]:
    """Return the fields as JSON-compatible data; see ``from_plain``."""
    values = {part.name: getattr(thing, part.name) for part in fields(thing)}
    if values.get("filter") is not None:
        values["filter"] = plain(values["filter"])
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


def from_plain(entry: Mapping[str, Any] | None) -> SpeckSensor | None:
    """Return the sensor of such data; None for None.

    Raises:
        KeyError, TypeError, ValueError: fields missing or unknown, or invalid values.
    """
    if entry is None:
        return None
    rest = dict(entry)
    settings = rest.pop("filter")
    return SpeckSensor(**rest, filter=None if settings is None else EventFilter(**settings))

"""Reference implementation of the event simulation, slow and plain, for tests.

It uses Python integers and processes one event and one neuron after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.simulate.options import EventOptions

__all__ = ["Event", "EventRecord", "simulate_singly"]


class Event(NamedTuple):
    """One event: ``cause`` counts input events and ticks; equal ``time``, equal times."""

    cause: int
    time: int
    step: int
    channel: int
    y: int
    x: int


class EventRecord(NamedTuple):
    """Result of a sample, by core: spikes in order, membranes after each step, and counts."""

    spikes: dict[str, list[Event]]
    v_mem: dict[str, Array]
    saturations: dict[str, int]
    synops: dict[str, int]


def simulate_singly(
    program: SpeckProgram,
    events: list[tuple[int, int, int, int, int]],
    steps: int,
    options: EventOptions,
    state: Mapping[str, Array] | None = None,
) -> EventRecord:
    """Simulate input events (step, time, channel, y, x), sorted by step and time."""
    arriving, ticks = _timeline(events, steps, options)
    record = EventRecord({}, {}, {}, {})
    for core in program.cores:
        start = (state or {}).get(core.name, 0 if core.initial is None else core.initial)
        neurons = _Core(core, options, np.zeros(core.output_shape, np.int64) + start)
        stream = _merged(program, core, arriving, record.spikes, options)
        history = np.zeros((steps, *core.output_shape), np.int64)
        for step in range(steps):
            tick = ticks[step]
            here = [event for event in stream if event.step == step]
            for event in here:
                if event.cause < tick.cause:
                    neurons.take(event)
            neurons.tick(tick)
            for event in here:
                if event.cause >= tick.cause:
                    neurons.take(event)
            history[step] = neurons.v
        record.spikes[core.name] = neurons.spikes
        record.v_mem[core.name] = history
        record.saturations[core.name] = neurons.saturations
        record.synops[core.name] = neurons.synops
    return record


def _timeline(
    events: list[tuple[int, int, int, int, int]], steps: int, options: EventOptions
) -> tuple[list[Event], list[Event]]:
    """Return input events and the tick of each step, with causes counted through both."""
    arriving, ticks, cause, time = [], [], 0, 0
    for step in range(steps):
        if options.leak_first:
            ticks.append(Event(cause, time, step, 0, 0, 0))
            cause, time = cause + 1, time + 1
        last = None
        for at, now, channel, y, x in events:
            if at != step:
                continue
            time += last is not None and now != last
            last = now
            arriving.append(Event(cause, time, step, channel, y, x))
            cause += 1
        time += 1
        if not options.leak_first:
            ticks.append(Event(cause, time, step, 0, 0, 0))
            cause, time = cause + 1, time + 1
    return arriving, ticks


def _merged(
    program: SpeckProgram,
    core: SpeckCore,
    arriving: list[Event],
    spikes: Mapping[str, list[Event]],
    options: EventOptions,
) -> list[Event]:
    """Return the events that the core receives, in order and pooled."""
    found = []
    for source, target in program.sources(core.name):
        shape = program.input_shape if source is None else source.output_shape
        sent = arriving if source is None else spikes[source.name]
        found += [e for event in sent for e in _pooled(event, target, shape, options)]
    return sorted(found, key=lambda event: event[:2] if options.merging == "event" else event[1:2])


def _pooled(
    event: Event, target: Destination, shape: tuple[int, int, int], options: EventOptions
) -> Iterator[Event]:
    side = target.pooling
    y, x = event.y // side, event.x // side
    if options.partial_windows == "pass" or (y < shape[1] // side and x < shape[2] // side):
        yield event._replace(channel=event.channel + target.feature_shift, y=y, x=x)


class _Core:
    """The neurons of one core."""

    def __init__(self, core: SpeckCore, options: EventOptions, v: Array) -> None:
        self.core, self.options, self.v = core, options, v
        self.spikes: list[Event] = []
        self.saturations = self.synops = 0

    def take(self, event: Event) -> None:
        """Apply one event to all neurons that it reaches."""
        fired = []
        for channel, y, x, weight in self._reached(event):
            self.synops += 1
            if (weight or self.options.zero_weights) and self._add(channel, y, x, weight, True):
                fired.append((channel, y, x))
        self._send(fired, event)

    def tick(self, tick: Event) -> None:
        """Add its bias to every neuron: one tick of the slow clock."""
        bias = self.core.bias
        if bias is None or not bias.any():
            return
        fired = [
            (channel, y, x)
            for channel, y, x in np.ndindex(*self.v.shape)
            if self._add(channel, y, x, int(bias[channel]), self.options.leak_fires)
        ]
        self._send(fired, tick)

    def _reached(self, event: Event) -> Iterator[tuple[int, int, int, int]]:
        """Yield (channel, y, x, weight), kernel position by kernel position."""
        (step_y, step_x), (pad_y, pad_x) = self.core.stride, self.core.padding
        outputs, height, width = self.v.shape
        for ky, kx in np.ndindex(*self.core.weight.shape[2:]):
            y, off_y = divmod(event.y + pad_y - ky, step_y)
            x, off_x = divmod(event.x + pad_x - kx, step_x)
            if not (off_y or off_x) and 0 <= y < height and 0 <= x < width:
                for channel in range(outputs):
                    yield channel, y, x, int(self.core.weight[channel, event.channel, ky, kx])

    def _add(self, channel: int, y: int, x: int, weight: int, fires: bool) -> bool:
        """Add to a neuron's membrane; return whether it fires."""
        v = int(self.v[channel, y, x]) + weight
        if not -32768 <= v <= 32767:
            self.saturations += 1
            wrapped = (v + 32768) % 65536 - 32768
            v = wrapped if self.options.overflow == "wrap" else min(max(v, -32768), 32767)
        v = max(v, self.core.threshold_low)
        fires = fires and v >= self.core.threshold_high
        if fires:
            v = 0 if self.core.return_to_zero else v - self.core.threshold_high
        self.v[channel, y, x] = v
        return fires

    def _send(self, fired: list[tuple[int, int, int]], cause: Event) -> None:
        by_channel = self.options.spike_order == "channel"
        fired.sort(key=lambda at: at if by_channel else (*at[1:], at[0]))
        self.spikes += [cause._replace(channel=c, y=y, x=x) for c, y, x in fired]

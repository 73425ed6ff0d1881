"""The event simulation of one part of one sample: core after core, each with its stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.buffers import Buffers, Resident
from toolchain.chips.speck.simulate.event_kernel import (
    ArrivalField,
    CursorField,
    KernelOptions,
    SpikeField,
    run_core,
)
from toolchain.chips.speck.simulate.events import event_array
from toolchain.chips.speck.simulate.frame import FrameField, point_to
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.prepared import Prepared

__all__ = ["DivergedError", "StepRange", "Timeline", "simulate_events"]


class DivergedError(ValueError):
    """A core spikes more often than ``EventOptions.most_spikes``."""


class StepRange(NamedTuple):
    """Some steps of one sample: its number, and the first step and the one after the last.

    ``first`` is the number of the step at which the input begins, ``dt`` the length of a step, µs;
    0 if unknown.
    """

    sample: int
    start: int
    stop: int
    first: int
    dt: int


class Timeline:
    """The order of all external events of a part: input events, and one tick a step.

    Args:
        step: step of each input event, from the start of the part on.
        times: its time, µs.
        part: the steps.
        leak_first: whether a tick comes before the events of its step.

    Attributes:
        first: the first moment of each step and of the one after the last, int64 (steps + 1,).
        of_events: the moment of each input event, its index in the order, ascending, int64 (n,).
        times: of each moment, µs, int64.
        groups: a number for each moment that increases with its time, and around each tick.
    """

    def __init__(self, step: Array, times: Array, part: StepRange, *, leak_first: bool) -> None:
        steps = part.stop - part.start
        before = np.searchsorted(step, np.arange(steps + 1))
        self.first = before + np.arange(steps + 1)
        self.of_events = np.arange(step.size) + step + leak_first
        ticks = self.first[:-1] if leak_first else self.first[1:] - 1
        self.times = np.zeros(step.size + steps, np.int64)
        self.times[self.of_events] = times
        past = part.first + part.start + (not leak_first)
        self.times[ticks] = (np.arange(steps) + past) * part.dt
        new = np.ones(self.times.size, bool)
        new[self.of_events[1:]] = (np.diff(times) > 0) | (np.diff(step) > 0)
        new[ticks] = True
        new[np.minimum(ticks + 1, new.size - 1)] = True
        self.groups = np.cumsum(new)


def simulate_events(
    prepared: Prepared,
    part: StepRange,
    events: tuple[Array, Array],
    start: Resident,
    buffers: Buffers,
    options: EventOptions,
    before: Array,
) -> tuple[Resident, dict[str, Array]]:
    """Simulate a part event by event; return the new state, and an event array for each output.

    Args:
        prepared: the program.
        part: the steps that are simulated.
        events: input events and their times, µs; see ``Samples.timed``.
        start: state before the part.
        buffers: receive the record of the part.
        options: see ``EventOptions``.
        before: spikes of each core that count for ``most_spikes`` already, int64 (cores,).

    Raises:
        DivergedError: a core with more spikes than ``options.most_spikes``.
    """
    program = prepared.program
    counted, times = events
    step, y, column = counted[:3]
    if (counted[3] != 1).any():
        step, y, column = (np.repeat(row, counted[3]) for row in counted[:3])
        times = np.repeat(times, counted[3])
    step = step.astype(np.int64)
    timeline = Timeline(step, times, part, leak_first=options.leak_first)
    after, frame = buffers.start(start)
    point_to(frame, FrameField.MOMENTS, timeline.first)
    first = np.empty((len(ArrivalField), len(y)), np.int32)
    first[1:] = timeline.of_events, y, column
    sent: dict[str | None, Array] = {None: first}
    rules = _rules(options)
    for index, core in enumerate(program.cores):
        arrivals = _arrivals(prepared, core.name, sent, timeline, options)
        most = options.most_spikes - int(before[index])
        neurons = math.prod(core.output_shape)
        spikes, end = _run_core(index, neurons, arrivals, timeline, rules, frame, most)
        if spikes.shape[1] > most:
            raise DivergedError(
                f"{core.name!r} spikes more than {options.most_spikes} times in sample "
                f"{part.sample}, up to step {part.start + end}; the network diverges, or "
                "most_spikes must be larger"
            )
        sent[core.name] = spikes
    names = program.outputs if part.dt else ()
    return after, {name: _as_events(program, name, sent, timeline) for name in names}


def _rules(options: EventOptions) -> KernelOptions:
    return KernelOptions(
        by_channel=options.spike_order == "channel",
        wrap=options.overflow == "wrap",
        zero_weights=options.zero_weights,
        leak_fires=options.leak_fires,
        leak_first=options.leak_first,
    )


def _run_core(
    core: int,
    neurons: int,
    arrivals: Array,
    timeline: Timeline,
    rules: KernelOptions,
    frame: Array,
    most: int,
) -> tuple[Array, int]:
    """Return the spikes of a core, rows of ``SpikeField``, and the step that it reached.

    It stops before the last step if there are more than ``most`` spikes.
    """
    cursor = np.zeros(len(CursorField), np.int64)
    spikes = np.empty((len(ArrivalField), 2 * neurons + arrivals.shape[1]), np.int32)
    steps, arriving = timeline.first.size - 1, arrivals.shape[1]
    point_to(frame, FrameField.EVENTS, arrivals)
    point_to(frame, FrameField.SENT, spikes)
    while not run_core(core, steps, arriving, rules, frame, cursor):
        if cursor[CursorField.FOUND] > most:
            break
        spikes = np.concatenate([spikes, np.empty_like(spikes)], 1)
        point_to(frame, FrameField.SENT, spikes)
    return spikes[:, : cursor[CursorField.FOUND]], int(cursor[CursorField.STEP])


def _arrivals(
    prepared: Prepared,
    name: str,
    sent: Mapping[str | None, Array],
    timeline: Timeline,
    options: EventOptions,
) -> Array:
    """Return the events that a core receives, in order; rows of ``ArrivalField``."""
    connections = enumerate(prepared.flat.connections)
    sources = [(index, sent[source]) for index, (source, layer) in connections if layer == name]
    if len(sources) == 1:
        ((index, spikes),) = sources
        spikes[ArrivalField.TARGET] = index
        return spikes
    together = np.concatenate([spikes for _, spikes in sources], 1)
    numbers = np.array([index for index, _ in sources], np.int32)
    together[ArrivalField.TARGET] = np.repeat(numbers, [s.shape[1] for _, s in sources])
    key = together[ArrivalField.MOMENT]
    key = timeline.groups[key] if options.merging == "time" else key
    return np.ascontiguousarray(together[:, np.argsort(key, kind="stable")])


def _as_events(
    program: SpeckProgram, name: str, sent: Mapping[str | None, Array], timeline: Timeline
) -> Array:
    moment, y, column = sent[name][1:]
    x, channel = np.divmod(column, program[name].output_shape[0])
    return event_array(x, y, timeline.times[moment], channel)

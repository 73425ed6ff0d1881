"""The event simulation of one part of one sample: core after core, each with its stream."""

from __future__ import annotations

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
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.prepared import Prepared
from toolchain.chips.speck.simulate.tables import CoreField, State, Tables

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
    step, y, column = (np.repeat(row, counted[3]).astype(np.int64) for row in counted[:3])
    times = np.repeat(times, counted[3])
    timeline = Timeline(step, times, part, leak_first=options.leak_first)
    after, state = buffers.state(start)
    sent: dict[str | None, Array] = {None: np.array([timeline.of_events, y, column], np.int32)}
    rules = _rules(options)
    for index, core in enumerate(program.cores):
        arrivals = _arrivals(program, core.name, sent, timeline, options)
        most = options.most_spikes - int(before[index])
        tables = prepared.flat.tables
        spikes, end = _run_core(index, arrivals, timeline, rules, tables, state, most)
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
    arrivals: Array,
    timeline: Timeline,
    rules: KernelOptions,
    tables: Tables,
    state: State,
    most: int,
) -> tuple[Array, int]:
    """Return the spikes of a core, rows of ``SpikeField``, and the step that it reached.

    It stops before the last step if there are more than ``most`` spikes.
    """
    cursor = np.zeros(len(CursorField), np.int64)
    neurons = int(tables.cores[core, CoreField.HEIGHT] * tables.cores[core, CoreField.LINE])
    spikes = np.empty((len(SpikeField), 2 * neurons + arrivals.shape[1]), np.int32)
    first = timeline.first
    while not run_core(core, arrivals, first, rules, tables, state, spikes, cursor):
        if cursor[CursorField.FOUND] > most:
            break
        spikes = np.concatenate([spikes, np.empty_like(spikes)], 1)
    return spikes[:, : cursor[CursorField.FOUND]], int(cursor[CursorField.STEP])


def _arrivals(
    program: SpeckProgram,
    name: str,
    sent: Mapping[str | None, Array],
    timeline: Timeline,
    options: EventOptions,
) -> Array:
    """Return the events that a core receives, in order; rows of ``ArrivalField``."""
    parts = []
    for index, (source, layer) in enumerate(_connections(program)):
        if layer == name:
            spikes = sent[source]
            parts.append(np.concatenate([np.full((1, spikes.shape[1]), index), spikes], 0))
    together = np.concatenate(parts, 1)
    if len(parts) > 1:
        key = together[ArrivalField.MOMENT]
        key = timeline.groups[key] if options.merging == "time" else key
        together = together[:, np.argsort(key, kind="stable")]
    return together.astype(np.int32)


def _connections(program: SpeckProgram) -> list[tuple[str | None, str]]:
    """Return (source, or None for the input; core) in the order of the table of targets."""
    from_input = [(None, target.layer) for target in program.inputs]
    return from_input + [(c.name, target.layer) for c in program.cores for target in c.destinations]


def _as_events(
    program: SpeckProgram, name: str, sent: Mapping[str | None, Array], timeline: Timeline
) -> Array:
    moment, y, column = sent[name]
    x, channel = np.divmod(column, program[name].output_shape[0])
    return event_array(x, y, timeline.times[moment], channel)

"""The event simulation of one sample: core after core, each with its whole stream."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.buffers import BatchRun
from toolchain.chips.speck.simulate.event_kernel import (
    ArrivalField,
    CursorField,
    KernelOptions,
    SpikeField,
    run_core,
)
from toolchain.chips.speck.simulate.events import event_array
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.tables import CoreField, State, Tables

__all__ = ["Timeline", "simulate_events"]


class Timeline:
    """The order of all external events of a sample: input events, and one tick a step.

    Attributes:
        first: the first moment of each step and of the one after the last, int64 (steps + 1,).
        of_events: the moment of each input event, its index in the order, ascending, int64 (n,).
        times: of each moment, µs, int64.
        groups: a number for each moment that increases with its time, and around each tick.
    """

    def __init__(self, step: Array, times: Array, steps: int, dt: int, *, leak_first: bool) -> None:
        before = np.searchsorted(step, np.arange(steps + 1))
        self.first = before + np.arange(steps + 1)
        self.of_events = np.arange(step.size) + step + leak_first
        ticks = self.first[:-1] if leak_first else self.first[1:] - 1
        self.times = np.zeros(step.size + steps, np.int64)
        self.times[self.of_events] = times
        self.times[ticks] = (np.arange(steps) + (not leak_first)) * dt
        new = np.ones(self.times.size, bool)
        new[self.of_events[1:]] = (np.diff(times) > 0) | (np.diff(step) > 0)
        new[ticks] = True
        new[np.minimum(ticks + 1, new.size - 1)] = True
        self.groups = np.cumsum(new)


def simulate_events(run: BatchRun, sample: int, options: EventOptions, dt: int) -> dict[str, Array]:
    """Simulate a sample event by event; return an event array for each output core.

    Raises:
        ValueError: a core with more spikes than ``options.most_spikes``.
    """
    program, tables = run.program, run.packed.tables
    counted = run.samples.events(sample)
    times = run.samples.times(sample, counted)
    step, y, column = (np.repeat(row, counted[3]).astype(np.int64) for row in counted[:3])
    timeline = Timeline(
        step,
        np.repeat(times, counted[3]),
        run.samples.steps,
        dt,
        leak_first=options.leak_first,
    )
    state = run.state(sample, np.int32)
    sent: dict[str | None, Array] = {None: np.array([timeline.of_events, y, column], np.int32)}
    rules = KernelOptions(
        by_channel=options.spike_order == "channel",
        wrap=options.overflow == "wrap",
        zero_weights=options.zero_weights,
        leak_fires=options.leak_fires,
        leak_first=options.leak_first,
    )
    for index, core in enumerate(program.cores):
        arrivals = _arrivals(run, core.name, sent, timeline, options)
        spikes, end = _run_core(
            index, arrivals, timeline, rules, tables, state, options.most_spikes
        )
        if spikes.shape[1] > options.most_spikes:
            raise ValueError(
                f"{core.name!r} spikes more than {options.most_spikes} times in sample {sample}, "
                f"up to step {end} of {run.samples.steps}; the network diverges, or most_spikes "
                "must be larger"
            )
        sent[core.name] = spikes
    run.finish(sample, state)
    return {name: _as_events(program, name, sent, timeline) for name in program.outputs if dt}


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
    run: BatchRun,
    name: str,
    sent: Mapping[str | None, Array],
    timeline: Timeline,
    options: EventOptions,
) -> Array:
    """Return the events that a core receives, in order; rows of ``ArrivalField``."""
    parts = []
    for index, (source, layer) in enumerate(run.packed.connections):
        if layer == name:
            spikes = sent[source]
            parts.append(np.concatenate([np.full((1, spikes.shape[1]), index), spikes], 0))
    together = np.concatenate(parts, 1)
    if len(parts) > 1:
        key = together[ArrivalField.MOMENT]
        key = timeline.groups[key] if options.merging == "time" else key
        together = together[:, np.argsort(key, kind="stable")]
    return together.astype(np.int32)


def _as_events(
    program: SpeckProgram, name: str, sent: Mapping[str | None, Array], timeline: Timeline
) -> Array:
    moment, y, column = sent[name]
    x, channel = np.divmod(column, program[name].output_shape[0])
    return event_array(x, y, timeline.times[moment], channel)

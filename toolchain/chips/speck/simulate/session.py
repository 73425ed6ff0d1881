"""A Speck program that is simulated piece by piece, with its state kept in between."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.contract import Record
from toolchain.chips.record import checked_record
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.sensor import SensorSamples
from toolchain.chips.speck.simulate.buffers import Buffers, Resident, at_rest, membranes_of
from toolchain.chips.speck.simulate.clocked import clocked
from toolchain.chips.speck.simulate.event import Part, simulate_events
from toolchain.chips.speck.simulate.events import EventArrays, are_events, in_microseconds
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.piece import KINDS, Piece, kept_of
from toolchain.chips.speck.simulate.prepared import packed
from toolchain.chips.speck.simulate.raster import Rasters, Samples
from toolchain.chips.speck.simulate.recording import SpeckRecording

__all__ = ["Stream", "start_state"]

TIMINGS = ("clocked", "event")
WINDOW = 1000
"""Steps in which a core may spike ``EventOptions.most_spikes`` times."""


class Stream:
    """Simulation of a batch of samples in pieces; together they equal one whole run.

    Args:
        program: the program.
        batch: number of samples.
        timing: ``"clocked"`` or ``"event"``.
        record: what is kept of each step, by name of the core.
        options: options of event timing.
        dt: length of a step, s; by default the program's.
        threads: samples simulated at a time; by default the number of processors.

    Raises:
        ValueError: an invalid argument, or a program whose layers do not fit each other.
    """

    def __init__(
        self,
        program: SpeckProgram,
        batch: int,
        *,
        timing: str = "clocked",
        record: Record = False,
        options: EventOptions | None = None,
        dt: float | None = None,
        threads: int | None = None,
    ) -> None:
        if timing not in TIMINGS:
            raise ValueError(f"timing must be {' or '.join(map(repr, TIMINGS))}, got {timing!r}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be >= 1, got {threads}")
        if options is not None and timing != "event":
            raise ValueError("options require timing='event'")
        self._program, self._dt, self._threads = program, program.dt if dt is None else dt, threads
        self._options = None if timing == "clocked" else options or EventOptions()
        drop = self._options is None or self._options.partial_windows == "drop"
        self._record = checked_record(record, [core.name for core in program.cores], KINDS)
        self._prepared = packed(program, kept_of(program, self._record), drop=drop)
        self._length = 0 if self._dt is None else _whole(self._dt)
        self._spare: deque[Buffers] = deque()
        self._start(batch, None)

    def _start(self, batch: int, state: Mapping[str, Array] | None) -> None:
        """Start at step 0 from ``state``, or from the program's initial membranes."""
        self._states = self._resident(batch, state)
        self.steps = 0

    def _resident(self, batch: int, state: Mapping[str, Array] | None) -> list[Resident]:
        start = start_state(self._program, batch, state)
        rows = np.concatenate([v.reshape(batch, math.prod(v.shape[1:])) for v in start.values()], 1)
        dtype = np.int16 if self._options is None else np.int32
        return [at_rest(self._prepared.flat, row, dtype) for row in rows]

    @property
    def batch(self) -> int:
        """Number of samples."""
        return len(self._states)

    def reset(self) -> None:
        """Return to the program's initial membranes and to step 0."""
        self._start(self.batch, None)

    def restore(self, state: Mapping[str, Array], steps: int) -> None:
        """Continue from other membranes, after so many steps; see ``start_state``.

        Raises:
            ValueError: an invalid state; nothing is changed.
        """
        self._states, self.steps = self._resident(self.batch, state), steps

    def state(self) -> dict[str, Array]:
        """Return the membranes after the last step, int16 (batch, channels, y, x) by core."""
        flat = self._prepared.flat
        rows = [membranes_of(flat, state) for state in self._states]
        state, at = {}, 0
        for core in self._program.cores:
            size = math.prod(core.output_shape)
            parts = [row[at : at + size].reshape(core.output_shape) for row in rows]
            state[core.name] = np.array(parts, np.int16).reshape(self.batch, *core.output_shape)
            at += size
        return state

    def run(self, spikes: Any, steps: int | None = None, *, empty: bool = True) -> SpeckRecording:
        """Simulate more steps.

        Args:
            spikes: a raster or event arrays, see ``simulate``; times of events are since step 0.
            steps: number of steps, for event arrays; by default up to the last event.
            empty: whether event arrays without events and ``steps`` are a piece of no steps.

        Raises:
            ValueError: invalid input, or a network that diverges; the state is not changed.
        """
        samples = self._samples(spikes, steps, empty)
        if len(samples) != self.batch:
            raise ValueError(f"spikes must have {self.batch} samples, got {len(samples)}")
        piece = Piece(self._prepared, self.batch, samples.steps, self._record)
        work = partial(self._sample, samples, piece)
        # nothing is changed before all samples are done: a failure leaves the state as it was
        states = each(work, range(self.batch), self._threads)
        first, self.steps = self.steps, self.steps + samples.steps
        self._states = states
        return piece.recording(self.state(), samples.counts(), first)

    def _sample(self, samples: Samples, piece: Piece, sample: int) -> Resident:
        """Simulate one sample, part by part, into ``piece``; return its new state."""
        state, flat, dt = self._states[sample], self._prepared.flat, self._length
        before = np.zeros(len(self._program.cores), np.int64)
        buffers = self._spare.pop() if self._spare else Buffers(flat)
        start = 0
        while start < piece.steps:
            if start % WINDOW == 0:
                before[:] = 0
            stop = min(start + self._prepared.steps, piece.steps)
            sent: Mapping[str, Array] = {}
            if self._options is None:
                events = samples.events(sample, start, stop)
                state = clocked(flat.tables, stop - start, events, state, buffers)
            else:
                stop = min(stop, start - start % WINDOW + WINDOW)
                state, sent = simulate_events(
                    self._prepared,
                    Part(sample, start, stop, self.steps, dt),
                    samples.timed(sample, start, stop),
                    state,
                    buffers,
                    self._options,
                    before,
                )
                before += buffers.counters[2]
            piece.take(sample, start, stop, buffers, sent)
            start = stop
        self._spare.append(buffers)
        return state

    def _samples(self, spikes: Any, steps: int | None, empty: bool) -> Samples:
        """Return the checked input."""
        program = self._program
        samples: Samples
        if are_events(spikes):
            if self._dt is None:
                raise ValueError("event arrays need the length of a step: dt=... in s")
            samples = EventArrays(
                spikes,
                program.input_shape,
                in_microseconds(self._dt),
                steps,
                first=self.steps,
                empty=empty,
            )
        elif steps is not None:
            raise ValueError("steps requires event arrays; a raster has its own number of steps")
        else:
            samples = Rasters(spikes, program.input_shape, self._length, self.steps)
        if program.sensor is None:
            return samples
        return SensorSamples(samples, program.sensor, program.input_shape)


def _whole(dt: float) -> int:
    """Convert a length in s to µs; 0 where it is not a whole number of them."""
    if not (isinstance(dt, int | float) and 0 < dt < math.inf):
        raise ValueError(f"dt must be > 0 s, got {dt!r}")
    return round(dt * 1e6) if abs(dt * 1e6 - round(dt * 1e6)) < 1e-6 * dt * 1e6 else 0


def start_state(
    program: SpeckProgram, samples: int, state: Mapping[str, Array] | None
) -> dict[str, Array]:
    """Return the membranes before the first step by core, int16 (batch, channels, y, x).

    Raises:
        ValueError: an unknown core, another shape, or values outside int16.
    """
    given = dict(state or {})
    start = {}
    for core in program.cores:
        shape = (samples, *core.output_shape)
        value = np.asarray(given.pop(core.name, 0 if core.initial is None else core.initial))
        if value.ndim and value.shape not in (shape, core.output_shape):
            raise ValueError(f"state of {core.name!r} must have shape {shape}, got {value.shape}")
        if value.dtype.kind not in "iu" or (
            value.size and not (value.min() >= -32768 and value.max() <= 32767)
        ):
            raise ValueError(f"state of {core.name!r} must contain integers from -32768 to 32767")
        start[core.name] = np.broadcast_to(value.astype(np.int16), shape)
    if given:
        raise ValueError(f"state of unknown cores: {', '.join(sorted(given))}")
    return start

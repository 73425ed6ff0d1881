"""A Speck program that is simulated piece by piece, with its state kept in between."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import check_threads, each
from toolchain.chips.contract import Record
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.sensor import SensorSamples
from toolchain.chips.speck.simulate.buffers import Buffers, NeuronGrid, Resident, at_rest
from toolchain.chips.speck.simulate.events import EventArrays, are_events, in_microseconds
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.piece import Piece, plan_of
from toolchain.chips.speck.simulate.raster import Rasters, Samples

if TYPE_CHECKING:
    from toolchain.chips.speck.simulate.event import StepRange

__all__ = ["TIMINGS", "WINDOW", "SpeckStream", "read_samples", "start_state"]

TIMINGS = ("clocked", "event")
WINDOW = 1000
"""Steps in which a core may spike ``EventOptions.most_spikes`` times."""


class SpeckStream:
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
        check_threads(threads)
        if options is not None and timing != "event":
            raise ValueError("options require timing='event'")
        # numba takes a third of a second to import; a program alone needs none of it
        from toolchain.chips.speck.simulate import clocked, event

        self._clocked, self._event = clocked.clocked, event
        self._program, self._dt, self._threads = program, program.dt if dt is None else dt, threads
        self._options = None if timing == "clocked" else options or EventOptions()
        drop = self._options is None or self._options.partial_windows == "drop"
        self._plan = plan_of(program, record, drop=drop)
        self._prepared = self._plan.prepared
        self._length = 0 if self._dt is None else _whole(self._dt)
        self._batch = batch
        self.reset()

    @property
    def steps(self) -> int:
        """Number of steps since the start or the last reset."""
        return self._at[1]

    def reset(self) -> None:
        """Return to the program's initial membranes and to step 0."""
        # states are replaced, never changed, so that all samples can share one
        self._at = [self._prepared.at_rest()] * self._batch, 0

    def restore(self, state: Mapping[str, Array], steps: int) -> None:
        """Continue from other membranes, after so many steps; see ``start_state``.

        Raises:
            ValueError: an invalid state; nothing is changed.
        """
        start = start_state(self._program, self._batch, state)
        flat, grids = self._prepared.flat, self._prepared.grids
        states = [
            at_rest(flat, grids, {name: v[n] for name, v in start.items()}, np.int16)
            for n in range(self._batch)
        ]
        self._at = states, steps

    def state(self) -> dict[str, Array]:
        """Return the membranes after the last step, int16 (batch, channels, y, x) by core."""
        return self.reader()()

    def reader(self) -> Callable[[], dict[str, Array]]:
        """Return a function that returns the present ``state`` whenever it is called."""
        return partial(_membranes, self._prepared.grids, self._at[0])

    def run(self, spikes: Any, steps: int | None = None, *, empty: bool = True) -> Piece:
        """Simulate more steps.

        Args:
            spikes: a raster or event arrays, see ``simulate``; times of events are since step 0.
            steps: number of steps, for event arrays; by default up to the last event.
            empty: whether event arrays without events and ``steps`` are a piece of no steps.

        Raises:
            ValueError: invalid input, or a network that diverges; the state is not changed.
        """
        samples = read_samples(
            self._program, self._dt, spikes, steps, first=self.steps, empty=empty
        )
        if len(samples) != self._batch:
            raise ValueError(f"spikes must have {self._batch} samples, got {len(samples)}")
        piece = Piece(self._plan, samples, self._at[1])
        if self._batch == 1:
            states = [self._sample(piece, 0)]
        else:
            states = each(partial(self._sample, piece), range(self._batch), self._threads)
        # only now: a failure of one sample leaves the state of all as it was
        self._at = states, piece.first + piece.steps
        return piece

    def _sample(self, piece: Piece, sample: int) -> Resident:
        """Simulate one sample, part by part, into ``piece``; return its new state."""
        prepared, buffers = self._prepared, self._prepared.buffers()
        state, start, samples = self._at[0][sample], 0, piece.samples
        before = None if self._options is None else np.zeros(len(prepared.shapes), np.int64)
        while start < piece.steps:
            stop = min(start + prepared.steps, piece.steps)
            if before is None:
                events = samples.events(sample, start, stop)
                state = self._clocked(stop - start, events, state, buffers)
            else:
                part = self._event.StepRange(sample, start, stop, piece.first, self._length)
                state, stop, sent = self._events(samples, part, state, buffers, before)
                piece.take_events(sample, sent)
            piece.take(sample, start, stop, buffers)
            start = stop
        prepared.spare.append(buffers)
        return state

    def _events(
        self, samples: Samples, part: StepRange, state: Resident, buffers: Buffers, before: Array
    ) -> tuple[Resident, int, dict[str, Array]]:
        """Simulate a part event by event; return its new state, its end and the output spikes.

        ``before`` has the spikes of each core in the same ``WINDOW``, and receives those of the
        part. Several windows are simulated at once if their spikes together are few enough.
        """
        assert self._options is not None
        if part.start % WINDOW == 0:
            before[:] = 0
        window = min(part.stop, part.start - part.start % WINDOW + WINDOW)
        several = part.stop - part.stop % WINDOW if part.start % WINDOW == 0 else 0
        for stop in (max(several, window), window):
            smaller = part._replace(stop=stop)
            events = samples.timed(part.sample, part.start, stop)
            try:
                found = self._event.simulate_events(
                    self._prepared, smaller, events, state, buffers, self._options, before
                )
            except self._event.DivergedError:
                if stop == window:
                    raise
                buffers.clear()
                continue
            before += buffers.counters[2]
            return found[0], stop, found[1]
        raise AssertionError("a window is simulated, or refused")


def read_samples(
    program: SpeckProgram,
    dt: float | None,
    spikes: Any,
    steps: int | None,
    *,
    first: int = 0,
    empty: bool = True,
) -> Samples:
    """Return the checked input of a simulation, behind the sensor of the program.

    Args:
        program: the program.
        dt: length of a step, s.
        spikes, steps, empty: see ``SpeckStream.run``.
        first: number of the first step.

    Raises:
        ValueError: invalid input.
    """
    samples: Samples
    if are_events(spikes):
        if dt is None:
            raise ValueError("event arrays need the length of a step: dt=... in s")
        samples = EventArrays(
            spikes, program.input_shape, in_microseconds(dt), steps, first=first, empty=empty
        )
    elif steps is not None:
        raise ValueError("steps requires event arrays; a raster has its own number of steps")
    else:
        samples = Rasters(spikes, program.input_shape, 0 if dt is None else _whole(dt), first)
    if program.sensor is None:
        return samples
    return SensorSamples(samples, program.sensor, program.input_shape)


def _membranes(grids: Mapping[str, NeuronGrid], states: Sequence[Resident]) -> dict[str, Array]:
    found = {}
    for name, grid in grids.items():
        found[name] = np.empty((len(states), *grid.shape), np.int16)
        for sample, state in enumerate(states):
            found[name][sample] = grid.view(state.membranes)
    return found


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

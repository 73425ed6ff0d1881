"""The forward pass: the simulators of the family on the tables of a program that changes.

Each sample is simulated segment by segment. What is recorded goes straight into the arrays that the
backward pass reads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.speck.simulate.buffers import Buffers, Resident
from toolchain.chips.speck.simulate.clocked import clocked
from toolchain.chips.speck.simulate.event import StepRange, simulate_events
from toolchain.chips.speck.simulate.frame import FrameField, point_to
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.pack import FlatProgram
from toolchain.chips.speck.simulate.raster import Samples
from toolchain.chips.speck.simulate.session import WINDOW
from toolchain.chips.speck.simulate.tables import Tables
from toolchain.chips.speck.training.tables import ChangingTables
from toolchain.chips.speck.training.tape import Segment

__all__ = ["ForwardPass"]

RECORD_BYTES = 2**28
"""Largest record of a pass; beyond it, states are kept and segments simulated twice."""
SEGMENT_BYTES = 2**22
"""Size of the record of one sample in a segment that is simulated twice."""

_LENGTHS = tuple(n for n in range(WINDOW, 0, -1) if WINDOW % n == 0)
"""Lengths of segments: whole ones fit the window in which event timing limits spikes."""
_BYTES = 6
"""Size of the record of one neuron in one step."""


class RecordBuffers(Buffers):
    """Buffers whose record is in arrays of the caller."""

    def record_in(self, spikes: Array, v_mem: Array) -> None:
        """Record in these flat arrays from now on; ``spikes`` must be 0."""
        self._spikes, self._history = spikes, v_mem
        point_to(self._frame, FrameField.SPIKES, spikes)
        point_to(self._frame, FrameField.HISTORY, v_mem)


class ForwardPass:
    """One pass through a program; ``run`` it once, then ``read`` its record.

    Args:
        tables: tables of the program.
        filled: the same with the integers of this pass.
        samples: the input, behind the sensor.
        timing: ``"clocked"`` or ``"event"``.
        layers: cores whose spikes are wanted.
        gradient: whether ``read`` will be called.

    Attributes:
        segments: first step of each segment and the one after its last.
        values: spikes of ``layers``, int32 (batch, time, channels, y, x).
        saturations: clamped sums of each sample and core, int64 (batch, cores).
    """

    def __init__(
        self,
        tables: ChangingTables,
        filled: Tables,
        samples: Samples,
        *,
        timing: str,
        layers: Collection[str],
        gradient: bool,
    ) -> None:
        self._options = EventOptions() if timing == "event" else None
        self._prepared, self._samples = tables.prepared, samples
        shapes, batch, steps = self._prepared.shapes, len(samples), samples.steps
        one_step = _BYTES * sum(math.prod(shape) for shape in shapes.values())
        whole = batch * steps * one_step <= RECORD_BYTES
        self._length = length = self._segment_length(one_step, whole=whole)
        self.segments = tuple((at, min(at + length, steps)) for at in range(0, steps, length))
        self.values = {n: np.zeros((batch, steps, *shapes[n]), np.int32) for n in layers}
        self.saturations = np.zeros((batch, len(shapes)), np.int64)
        self._keeps_record = gradient and whole
        self._keeps_states = gradient and not (whole and timing == "clocked")
        if gradient:
            self._all = tables.recording(filled, length, shapes, shapes)
        self._recorded = (
            self._all if self._keeps_record else tables.recording(filled, length, layers, ())
        )
        self._records = [self._empty(batch) for _ in self.segments if self._keeps_record]
        self._states: list[list[Resident]] = [[] for _ in range(batch)]
        self._spare: deque[RecordBuffers] = deque()

    def _segment_length(self, one_step: int, *, whole: bool) -> int:
        steps = max(1, self._samples.steps)
        if whole and self._options is None:
            return steps
        longest = SEGMENT_BYTES // one_step
        return min(steps, next(n for n in _LENGTHS if whole or n == 1 or n <= longest))

    def run(self, threads: int | None) -> None:
        """Simulate all samples.

        Raises:
            ValueError: invalid input, or a network that diverges in event timing.
        """
        each(self._sample, range(len(self._samples)), threads)
        self._spare.clear()
        for number, record in enumerate(self._records):
            self._take(range(len(self._samples)), number, record.spikes)

    def read(self, number: int, part: range) -> Segment:
        """Return the record of a segment for some samples, simulated again if it was not kept."""
        if self._keeps_record:
            kept, rows = self._records[number], slice(part.start, part.stop)
            return Segment(
                places=kept.places,
                spikes=kept.spikes[rows],
                v_mem=kept.v_mem[rows],
                start=self._start(number, part),
                events=kept.events[rows],
            )
        found = replace(self._empty(len(part)), start=self._start(number, part))
        buffers = RecordBuffers(self._all[0], self._prepared.shapes)
        before = np.zeros(len(self._prepared.shapes), np.int64)
        for row, sample in enumerate(part):
            buffers.record_in(found.spikes[row], found.v_mem[row])
            state = self._states[sample][number]
            found.events[row] = self._run(buffers, sample, number, state, before)[1]
        return found

    def _empty(self, batch: int) -> Segment:
        places = self._all[1]
        return Segment(
            places=places,
            spikes=np.zeros((batch, places.sizes[0]), np.int32),
            v_mem=np.empty((batch, places.sizes[1]), np.int16),
            start={},
            events=[np.zeros((4, 0), np.int32)] * batch,
        )

    def _start(self, number: int, part: range) -> dict[str, Array]:
        """Return ``Segment.start``."""
        if self._options is None:
            return {}
        states = [self._states[sample][number].membranes for sample in part]
        found = {}
        for name, grid in self._prepared.grids.items():
            maps = np.stack([np.moveaxis(grid.view(state), 0, -1) for state in states])
            found[name] = maps.reshape(len(states), -1).astype(np.int16)
        return found

    def _sample(self, sample: int) -> None:
        """Simulate one sample."""
        buffers, sizes = self._buffers(self._recorded[0]), self._recorded[1].sizes
        state, before = self._prepared.at_rest(), np.zeros(len(self._prepared.shapes), np.int64)
        row = None if self._keeps_record else (np.zeros(sizes[0], "i4"), np.zeros(sizes[1], "i2"))
        for number, (start, _) in enumerate(self.segments):
            if self._keeps_states:
                self._states[sample].append(state)
            if start % WINDOW == 0:
                before[:] = 0
            if row is None:
                record = self._records[number]
                buffers.record_in(record.spikes[sample], record.v_mem[sample])
            else:
                row[0][:] = 0
                buffers.record_in(*row)
            state, events = self._run(buffers, sample, number, state, before)
            if row is None:
                record.events[sample] = events
            else:
                self._take(range(sample, sample + 1), number, row[0][None])
            self.saturations[sample] += buffers.counters[0]
            before += buffers.counters[2]
            buffers.counters[:] = 0
        self._spare.append(buffers)

    def _buffers(self, flat: FlatProgram) -> RecordBuffers:
        try:
            return self._spare.pop()
        except IndexError:
            return RecordBuffers(flat, self._prepared.shapes)

    def _take(self, part: range, number: int, spikes: Array) -> None:
        """Copy the spikes of the wanted layers in one segment from the record of some samples."""
        start, stop = self.segments[number]
        for name, values in self.values.items():
            channels, height, width = self._prepared.shapes[name]
            place = self._recorded[1].spikes[name]
            maps = spikes[:, place].reshape(len(part), self._length, height, width, channels)
            found = np.moveaxis(maps[:, : stop - start], -1, 2)
            values[part.start : part.stop, start:stop] = found

    def _run(
        self, buffers: RecordBuffers, sample: int, number: int, state: Resident, before: Array
    ) -> tuple[Resident, Array]:
        """Simulate a segment of a sample; return the state after it, and its input."""
        start, stop = self.segments[number]
        if self._options is None:
            events = self._samples.events(sample, start, stop)
            return clocked(stop - start, events, state, buffers), events
        timed = self._samples.timed(sample, start, stop)
        # without the length of a step no times of spikes are computed
        part = StepRange(sample, start, stop, 0, 0)
        after, _ = simulate_events(
            self._prepared, part, timed, state, buffers, self._options, before
        )
        return after, timed[0]

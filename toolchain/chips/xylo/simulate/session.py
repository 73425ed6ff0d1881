"""A Xylo program that is simulated piece by piece, with its state kept in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import check_threads, each
from toolchain.chips.contract import Record
from toolchain.chips.record import checked_record
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate.packed import Traces, empty_traces, pack, packed_zeros, unpack
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.chips.xylo.simulate.recording import XyloRecording, XyloState, initial_state
from toolchain.chips.xylo.simulate.tables import tables
from toolchain.runs.sparse import SparseSpikes, SpikeCollector

__all__ = ["KINDS", "XyloStream"]

KINDS = ("spikes", "v_mem", "i_syn", "i_syn_2")
"""Names of the values of a layer that can be recorded."""

MOST_STATES = 8_000_000
"""Most neurons times timesteps times samples whose states are recorded at once where not all of
them are kept: about a hundred megabytes."""


ONE = range(1)


class XyloStream:
    """Simulation of a batch of samples in pieces; together they equal one whole run.

    Args:
        program: the program.
        batch: number of samples.
        record: what is kept of each step, by name of the population.
        threads: number of samples processed at a time; None for one a processor.
        own: applied to hidden spikes (batch, steps, hidden) that are kept by name.

    Raises:
        ValueError: an invalid argument.
    """

    def __init__(
        self,
        program: XyloProgram,
        batch: int,
        *,
        record: Record = False,
        threads: int | None = None,
        own: Callable[[Array], Array] | None = None,
    ) -> None:
        check_threads(threads)
        # numba takes a third of a second to import; a program alone needs none of it
        from toolchain.chips.xylo.simulate import kernel

        self._kernel = kernel
        # a session runs one call at a time, so that one sample needs one such memory
        self._scratch = kernel.empty_scratch(tables(program)) if batch == 1 else None
        self._program, self._threads, self._own = program, threads, own
        self._record = _checked(record, program)
        self._batch = batch
        self.reset()

    @property
    def steps(self) -> int:
        """Number of steps since the start or the last reset."""
        return self._at[1]

    def reset(self) -> None:
        """Return to the state after a reset and to step 0."""
        self._at = packed_zeros(self._program, self._batch), 0

    def restore(self, state: XyloState, steps: int) -> None:
        """Continue from a copy of ``state``, after so many steps; see ``initial_state``.

        Raises:
            ValueError: an invalid state; nothing is changed.
        """
        state = initial_state(self._program, self._batch, state)
        self._at = pack(self._program, state), steps

    def state(self) -> XyloState:
        """Return a copy of the state."""
        return unpack(self._program, self._at[0]).copy()

    def run(self, raster: npt.ArrayLike) -> XyloRecording:
        """Simulate more steps; see ``simulate`` for the raster.

        Raises:
            ValueError: an invalid raster, or another number of samples.
        """
        return self.run_counts(self._counts(raster))

    def run_counts(self, counts: npt.NDArray[np.uint8]) -> XyloRecording:
        """Simulate more steps of counts that ``as_counts`` returned for this batch."""
        start, steps = self._at
        packed = start.copy()
        recording = self._run(counts, packed)
        # one assignment: an interrupt leaves the state before the call, or the one after it
        self._at = packed, steps + counts.shape[1]
        return recording

    def spikes(self, raster: npt.ArrayLike) -> npt.NDArray[np.int8]:
        """Simulate more steps and return the output spikes alone, as an online loop needs them."""
        counts = self._counts(raster)
        start, steps = self._at
        packed = start.copy()
        found = self._spikes(counts, packed)
        self._at = packed, steps + counts.shape[1]
        return found

    def _counts(self, raster: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        counts = as_counts(self._program, raster)
        if len(counts) != self._batch:
            raise ValueError(f"raster must have {self._batch} samples, got {len(counts)}")
        return counts

    def _run(self, counts: npt.NDArray[np.uint8], packed: Array) -> XyloRecording:
        if isinstance(self._record, Mapping):
            return self._in_parts(counts, packed)
        if self._record or self._program.readout == "spikes":
            return self._part(counts, packed, self._record)
        return self._in_parts(counts, packed)

    def _in_parts(self, counts: npt.NDArray[np.uint8], packed: Array) -> XyloRecording:
        """Record all states of some timesteps after the other and keep what is asked for."""
        batch, steps = counts.shape[:2]
        neurons = self._program.hidden + self._program.outputs
        size = max(1, MOST_STATES // max(1, batch * neurons))
        if steps <= size and not self._record:
            found = self._part(counts, packed, True)
            return XyloRecording(spikes=found.spikes, state=found.state, readout=found.readout)
        kept = _Kept(self._program, self._record, batch, steps)
        for start in range(0, max(1, steps), size):
            part = np.ascontiguousarray(counts[:, start : start + size])
            found = self._part(part, packed, True)
            if self._own is not None and self._record:
                assert found.hidden_spikes is not None
                found = replace(found, hidden_spikes=self._own(found.hidden_spikes))
            kept.add(start, found)
        return kept.recording(unpack(self._program, packed.copy()))

    def _part(self, counts: npt.NDArray[np.uint8], packed: Array, record: bool) -> XyloRecording:
        """Run the kernel from the state ``packed`` on, which is overwritten with the last one."""
        program = self._program
        traces = empty_traces(program, *counts.shape[:2]) if record else None
        spikes = self._spikes(counts, packed, traces)
        state = unpack(program, packed.copy())
        if traces is None:
            return XyloRecording(spikes=spikes, state=state)
        return _recording(program, spikes, state, traces)

    def _spikes(
        self, counts: npt.NDArray[np.uint8], packed: Array, traces: Traces | None = None
    ) -> npt.NDArray[np.int8]:
        """Run the kernel; return the output spikes."""
        program, kernel = self._program, self._kernel
        batch, steps = counts.shape[:2]
        spikes = np.zeros((batch, steps, program.outputs), np.int8)

        def run(samples: range) -> None:
            kernel.run(program, samples, counts, spikes, packed, traces)

        if batch == 1:
            kernel.run(program, ONE, counts, spikes, packed, traces, self._scratch)
        else:
            parts = kernel.divide(program, batch, steps, traces is not None, self._threads)
            each(run, parts, self._threads)
        return spikes


def _checked(record: Record, program: XyloProgram) -> Record:
    """Return ``record``, which names populations; ValueError for an unknown name."""
    populations = {p.name: p for p in program.populations}
    found = checked_record(record, populations, KINDS)
    for name, kinds in found.items() if isinstance(found, Mapping) else ():
        two = program.synapses == 2 and populations[name].role == "hidden"
        if "i_syn_2" in kinds and not two:
            raise ValueError(f"record of {name!r} names 'i_syn_2', but it has one synapse")
    return found


def _recording(
    program: XyloProgram, spikes: Array, end: XyloState, traces: Traces
) -> XyloRecording:
    kept: dict[str, Any] = traces.arrays(program)
    if program.readout != "spikes":
        kept["readout"] = kept[f"{program.readout}_out"]
    if program.core == "v1":
        del kept["hibernation"]
    saturations = traces.saturations(program)
    return XyloRecording(spikes=spikes, state=end, saturations=saturations, **kept)


class _Kept:
    """Record of a run whose states are recorded part by part."""

    def __init__(self, program: XyloProgram, record: Record, batch: int, steps: int) -> None:
        self._program = program
        self._spikes = np.zeros((batch, steps, program.outputs), np.int8)
        self._readout: Array | None = None
        if program.readout != "spikes":
            self._readout = np.zeros((batch, steps, program.outputs), np.int16)
        self._saturations: dict[str, int] = {p.name: 0 for p in program.populations}
        self._totals = np.zeros((batch, 2, program.hidden), np.int64)
        self._arrays: dict[tuple[str, str], Array | SpikeCollector] = {}
        self._record = record if isinstance(record, Mapping) else {}
        for p in program.populations:
            for kind in self._record.get(p.name, ()):
                shape = (batch, steps, p.stop - p.start)
                dense = np.zeros(shape, np.int16) if kind != "spikes" else None
                self._arrays[p.name, kind] = (
                    SpikeCollector(shape, np.int8) if dense is None else dense
                )

    def add(self, start: int, found: XyloRecording) -> None:
        """Add the steps from ``start`` on."""
        steps = slice(start, start + found.spikes.shape[1])
        self._spikes[:, steps] = found.spikes
        if self._readout is not None:
            self._readout[:, steps] = found.readout
        assert found.saturations is not None
        for name, number in found.saturations.items():
            self._saturations[name] += number
        assert found.hidden_totals is not None
        self._totals += found.hidden_totals
        for p in self._program.populations:
            for kind in self._record.get(p.name, ()):
                values, to = state_of(found, p, kind), self._arrays[p.name, kind]
                if isinstance(to, SpikeCollector):
                    for sample, rows in enumerate(values):
                        to.add(sample, start, rows)
                else:
                    to[:, steps] = values

    def recording(self, state: XyloState) -> XyloRecording:
        """Return the recording of the whole run."""
        recorded: dict[str, dict[str, Array | SparseSpikes]] = {n: {} for n in self._record}
        for (name, kind), kept in self._arrays.items():
            recorded[name][kind] = kept.spikes() if isinstance(kept, SpikeCollector) else kept
        if not self._record:
            return XyloRecording(spikes=self._spikes, state=state, readout=self._readout)
        return XyloRecording(
            spikes=self._spikes,
            state=state,
            readout=self._readout,
            saturations=self._saturations,
            hidden_totals=self._totals,
            recorded=recorded,
        )


def state_of(recording: XyloRecording, p: Population, kind: str) -> Array:
    """Return what was recorded of a population, (batch, steps, neurons)."""
    field = {"spikes": "hidden_spikes"}.get(kind, kind)
    if p.role == "output":
        field = {"spikes": "spikes"}.get(kind, f"{kind}_out")
    values = getattr(recording, field)
    return np.asarray(values[:, :, p.start : p.stop])

"""The results of one piece of a simulation, collected part by part from the buffers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Record
from toolchain.chips.record import checked_record
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.buffers import Buffers
from toolchain.chips.speck.simulate.prepared import Kept, Prepared, packed
from toolchain.chips.speck.simulate.raster import Samples, squeeze_map
from toolchain.chips.speck.simulate.recording import SpeckLayerRecord, SpeckRecording
from toolchain.runs.sparse import SparseSpikes, SpikeCollector

__all__ = ["KINDS", "Piece", "PiecePlan", "kept_of", "plan_of"]

KINDS = ("spikes", "v_mem")
"""Names of the values of a core that can be recorded."""

MOST_VALUES = 2**32
"""Values that one piece records at most in an array; at 32 bits they fill 16 GiB."""


def kept_of(program: SpeckProgram, record: Record) -> Kept:
    """Return what the kernels record for ``record``: the spikes of the outputs in any case."""
    names = [core.name for core in program.cores]
    if record is False:
        outputs = tuple(n for n in names if n in program.outputs)
        return Kept(spikes=outputs, membranes=())
    if not isinstance(record, Mapping):
        record = dict.fromkeys(names, KINDS)
    return Kept(
        spikes=tuple(n for n in names if "spikes" in record.get(n, ()) or n in program.outputs),
        membranes=tuple(n for n in names if "v_mem" in record.get(n, ())),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PiecePlan:
    """Arrays and lists that the pieces of a session record.

    Attributes:
        prepared: the program.
        record: what is kept besides the outputs.
        arrays: shapes of the cores whose spikes are kept as an array.
        lists: shapes of the cores whose spikes are kept in the smaller form.
        neurons: values a step of all arrays together.
    """

    prepared: Prepared
    record: Record
    arrays: dict[str, tuple[int, int, int]]
    lists: dict[str, tuple[int, int, int]]
    neurons: int

    @classmethod
    def of(cls, prepared: Prepared, record: Record) -> PiecePlan:
        """Return the plan for ``record``, by name of the core."""
        kept, shapes = prepared.kept, prepared.shapes
        asked = record if isinstance(record, Mapping) else {}
        arrays = kept.spikes if record is True else prepared.program.outputs
        return cls(
            prepared=prepared,
            record=record,
            arrays={name: shapes[name] for name in arrays},
            lists={name: shapes[name] for name, kinds in asked.items() if "spikes" in kinds},
            neurons=sum(math.prod(shapes[name]) for name in (*arrays, *kept.membranes)),
        )


_plans: WeakKeyDictionary[SpeckProgram, dict[tuple[bool, bool], PiecePlan]] = WeakKeyDictionary()


def plan_of(program: SpeckProgram, record: Record, *, drop: bool) -> PiecePlan:
    """Return the plan for ``record``; where it names no layers, it is made once for a program.

    Raises:
        ValueError: see ``checked_record`` and ``packed``.
    """
    found = _plans.setdefault(program, {})
    if type(record) is bool and (record, drop) in found:
        return found[record, drop]
    checked = checked_record(record, [core.name for core in program.cores], KINDS)
    plan = PiecePlan.of(packed(program, kept_of(program, checked), drop=drop), checked)
    if type(record) is bool:
        found[record, drop] = plan
    return plan


class Piece:
    """Results of some steps of all samples; samples may be added by several threads at a time.

    Args:
        plan: what is kept.
        samples: the input.
        first: number of its first step.

    Raises:
        ValueError: more than ``MOST_VALUES`` values to record.
    """

    def __init__(self, plan: PiecePlan, samples: Samples, first: int) -> None:
        self._plan, self._prepared = plan, plan.prepared
        batch, steps = len(samples), samples.steps
        self.samples, self.steps, self.first = samples, steps, first
        if batch * steps * plan.neurons > MOST_VALUES:
            raise ValueError(
                f"{batch} samples, {steps} steps and {plan.neurons} neurons are more than "
                f"{MOST_VALUES} values to record: record less, use fewer or longer steps, or a "
                "session, piece by piece; times of events are since the start, in µs"
            )
        size = (batch, steps)
        self.spikes = {n: np.zeros(size + shape, np.int32) for n, shape in plan.arrays.items()}
        self._v_mem = {
            name: np.zeros(size + self._prepared.shapes[name], np.int16)
            for name in self._prepared.kept.membranes
        }
        self._lists = {n: SpikeCollector(size + s, np.int32) for n, s in plan.lists.items()}
        # a cache line or more for each sample: threads that share one would wait for each other
        self._counters = np.zeros((batch, 3, -(-len(self._prepared.shapes) // 8) * 8), np.int64)
        self._sent: list[list[Mapping[str, Array]]] = [[] for _ in range(batch)]

    def take(self, sample: int, start: int, stop: int, buffers: Buffers) -> None:
        """Add the steps ``start`` to ``stop`` of a sample, and clear the buffers."""
        counters, numbers = buffers.counters, self._prepared.numbers
        steps = stop - start
        for name, maps in buffers.spikes.items():
            if not counters[2, numbers[name]]:
                continue  # memory that is never written to is never used
            part = maps[:steps]
            if name in self.spikes:
                self.spikes[name][sample, start:stop] = part
            if name in self._lists:
                self._lists[name].add(sample, start, part)
            part[:] = 0
        for name, maps in buffers.history.items():
            self._v_mem[name][sample, start:stop] = maps[:steps]
        self._counters[sample, :, : counters.shape[1]] += counters
        counters[:] = 0

    def take_events(self, sample: int, sent: Mapping[str, Array]) -> None:
        """Add the spikes of the outputs one by one, event arrays by output."""
        self._sent[sample].append(sent)

    def saturations(self) -> dict[str, int]:
        """Return the number of clamped sums by core."""
        clamped = self._counters[:, 0]
        # few calls of numpy: an online loop asks for this after every step
        total = clamped[0] if len(clamped) == 1 else clamped.sum(0)
        return dict(zip(self._prepared.shapes, total.tolist(), strict=False))

    def events(self) -> dict[str, tuple[Array, ...]]:
        """Return the event arrays by output, one a sample; empty in clocked timing."""
        samples = [_together(sent) for sent in self._sent]
        names = samples[0] if samples else ()
        return {name: tuple(sample[name] for sample in samples) for name in names}

    def recorded(self) -> dict[str, dict[str, Array | SparseSpikes]]:
        """Return what the record names."""
        if not isinstance(self._plan.record, Mapping):
            return {}
        found: dict[str, dict[str, Array | SparseSpikes]] = {}
        for name, kinds in self._plan.record.items():
            found[name] = {}
            for kind in kinds:
                part = self._lists[name].spikes() if kind == "spikes" else self._v_mem[name]
                found[name][kind] = part
        return found

    def recording(self, state: Mapping[str, Array]) -> SpeckRecording:
        """Return the recording of all samples."""
        program, names = self._prepared.program, list(self._prepared.shapes)
        _, synops, counts = self._counters.transpose(1, 2, 0)[:, : len(names)].copy()
        everything = names if self._plan.record is True else ()
        return SpeckRecording(
            outputs={name: squeeze_map(self.spikes[name]) for name in program.outputs},
            state=state,
            saturations=self.saturations(),
            synops=dict(zip(names, synops, strict=True)),
            spike_counts=dict(zip(names, counts, strict=True)),
            input_counts=self.samples.counts(),
            steps=self.steps,
            first=self.first,
            events=self.events(),
            layers={
                name: SpeckLayerRecord(spikes=self.spikes[name], v_mem=self._v_mem[name])
                for name in everything
            },
            recorded=self.recorded(),
        )


def _together(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the event arrays of one sample by output."""
    names = parts[0] if parts else ()
    return {name: np.concatenate([part[name] for part in parts]) for name in names}

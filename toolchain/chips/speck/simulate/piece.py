"""The results of one piece of a simulation, collected part by part from the buffers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.contract import Record
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.buffers import Buffers
from toolchain.chips.speck.simulate.prepared import Kept, Prepared
from toolchain.chips.speck.simulate.raster import squeeze_map
from toolchain.chips.speck.simulate.recording import SpeckLayerRecord, SpeckRecording
from toolchain.runs.sparse import SparseSpikes, SpikeCollector

__all__ = ["KINDS", "Piece", "kept_of"]

KINDS = ("spikes", "v_mem")
"""What can be recorded of a core."""

MOST_VALUES = 2**32
"""Values that one piece records at most in an array; at 32 bits they fill 16 GiB."""

_SPIKES, _MEMBRANES = np.int32, np.int16


def kept_of(program: SpeckProgram, record: Record) -> Kept:
    """Return what the kernels record for ``record``: the spikes of the outputs in any case."""
    names = [core.name for core in program.cores]
    if not isinstance(record, Mapping):
        record = dict.fromkeys(names, KINDS) if record else {}
    return Kept(
        spikes=tuple(n for n in names if "spikes" in record.get(n, ()) or n in program.outputs),
        membranes=tuple(n for n in names if "v_mem" in record.get(n, ())),
    )


class Piece:
    """Results of some steps of all samples; samples may be added by several threads at a time.

    Args:
        prepared: the program.
        batch, steps: size of the piece.
        record: what is kept besides the outputs.

    Raises:
        ValueError: more than ``MOST_VALUES`` values to record.
    """

    def __init__(self, prepared: Prepared, batch: int, steps: int, record: Record) -> None:
        self._prepared, self._record, self.steps = prepared, record, steps
        program, kept = prepared.program, prepared.kept
        asked = record if isinstance(record, Mapping) else {}
        arrays = {*program.outputs, *(kept.spikes if record is True else ())}
        neurons = sum(math.prod(program[n].output_shape) for n in (*arrays, *kept.membranes))
        if batch * steps * neurons > MOST_VALUES:
            raise ValueError(
                f"{batch} samples, {steps} steps and {neurons} neurons are more than "
                f"{MOST_VALUES} values to record: record less, use fewer or longer steps, or a "
                "session, piece by piece; times of events are since the start, in µs"
            )
        self._spikes = {n: self._array(batch, n, _SPIKES) for n in kept.spikes if n in arrays}
        self._v_mem = {name: self._array(batch, name, _MEMBRANES) for name in kept.membranes}
        self._collectors = {
            name: SpikeCollector((batch, steps, *program[name].output_shape), _SPIKES)
            for name, kinds in asked.items()
            if "spikes" in kinds
        }
        # a cache line or more for each sample: threads that share one would wait for each other
        self._counters = np.zeros((batch, 3, -(-len(program.cores) // 8) * 8), np.int64)
        self._sent: list[list[Mapping[str, Array]]] = [[] for _ in range(batch)]
        self._numbers = {core.name: n for n, core in enumerate(program.cores)}

    def _array(self, batch: int, name: str, dtype: npt.DTypeLike) -> Array:
        return np.zeros((batch, self.steps, *self._prepared.program[name].output_shape), dtype)

    def take(
        self, sample: int, start: int, stop: int, buffers: Buffers, sent: Mapping[str, Array]
    ) -> None:
        """Add the steps ``start`` to ``stop`` of a sample, and clear the buffers.

        ``sent``: in event timing, the spikes of each output as an event array.
        """
        flat = self._prepared.flat
        for name, place in flat.spikes.items():
            if not buffers.counters[2, self._numbers[name]]:
                continue  # memory that is never written to is never used
            maps = self._maps(name, buffers.spikes[place], stop - start)
            if name in self._spikes:
                self._spikes[name][sample, start:stop] = maps
            if name in self._collectors:
                self._collectors[name].add(sample, start, maps)
            maps[:] = 0
        for name, place in flat.history.items():
            maps = self._maps(name, buffers.history[place], stop - start)
            self._v_mem[name][sample, start:stop] = maps
        self._counters[sample, :, : buffers.counters.shape[1]] += buffers.counters
        buffers.counters[:] = 0
        self._sent[sample].append(sent)

    def _maps(self, name: str, flat: Array, steps: int) -> Array:
        """Return (steps, channels, y, x) of values in the order [step][y][x][channel], a view."""
        channels, height, width = self._prepared.program[name].output_shape
        maps = flat.reshape(self._prepared.steps, height, width, channels)[:steps]
        return maps.transpose(0, 3, 1, 2)

    def recording(
        self, state: Mapping[str, Array], input_counts: Array, first: int
    ) -> SpeckRecording:
        """Return the recording of all samples, which begins with step ``first``."""
        program, names = self._prepared.program, list(self._numbers)
        saturations, synops, counts = self._counters.transpose(1, 2, 0)[:, : len(names)].copy()
        everything = self._prepared.kept.membranes if self._record is True else ()
        return SpeckRecording(
            outputs={name: squeeze_map(self._spikes[name]) for name in program.outputs},
            state=state,
            saturations=dict(zip(names, saturations.sum(1).tolist(), strict=True)),
            synops=dict(zip(names, synops, strict=True)),
            spike_counts=dict(zip(names, counts, strict=True)),
            input_counts=input_counts,
            steps=self.steps,
            first=first,
            events=_joined([_together(sent) for sent in self._sent]),
            layers={
                name: SpeckLayerRecord(spikes=self._spikes[name], v_mem=self._v_mem[name])
                for name in everything
            },
            recorded=self._recorded(),
        )

    def _recorded(self) -> dict[str, dict[str, Array | SparseSpikes]]:
        if not isinstance(self._record, Mapping):
            return {}
        found: dict[str, dict[str, Array | SparseSpikes]] = {}
        for name, kinds in self._record.items():
            found[name] = {}
            for kind in kinds:
                part = self._collectors[name].spikes() if kind == "spikes" else self._v_mem[name]
                found[name][kind] = part
        return found


def _together(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the event arrays of one sample by output."""
    names = parts[0] if parts else ()
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _joined(samples: Sequence[Mapping[str, Array]]) -> dict[str, tuple[Array, ...]]:
    """Return the event arrays by output, one a sample."""
    names = samples[0] if samples else ()
    return {name: tuple(sample[name] for sample in samples) for name in names}

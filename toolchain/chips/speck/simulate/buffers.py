"""Buffers of one simulation of a batch, and the recording made from them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.pack import FlatProgram, pack
from toolchain.chips.speck.simulate.raster import Samples, squeeze_map
from toolchain.chips.speck.simulate.recording import SpeckLayerRecord, SpeckRecording
from toolchain.chips.speck.simulate.tables import QueueField, State

__all__ = ["BatchRun"]

MOST_VALUES = 2**32
"""Spike counts that one simulation records at most; at 32 bits they fill 16 GiB."""

_CACHE_LINE = 64  # bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchRun:
    """One simulation: the samples, and buffers for the result of each.

    Samples are independent: several threads may simulate different samples at a time.
    """

    program: SpeckProgram
    samples: Samples
    recorded: Collection[str]
    packed: FlatProgram
    membranes: Array
    spikes: Array
    history: Array
    counters: Array

    @classmethod
    def of(
        cls,
        program: SpeckProgram,
        samples: Samples,
        start: Mapping[str, Array],
        *,
        record: bool,
        drop: bool = True,
    ) -> BatchRun:
        """Allocate the buffers of one simulation.

        ``start``: membranes int16 (batch, channels, y, x) by core; ``drop`` as in ``pack``.

        Raises:
            ValueError: more than ``MOST_VALUES`` spike counts to record.
        """
        names = [core.name for core in program.cores]
        kept = names if record else program.outputs
        neurons = sum(math.prod(program[name].output_shape) for name in kept)
        if len(samples) * samples.steps * neurons > MOST_VALUES:
            raise ValueError(
                f"{len(samples)} samples, {samples.steps} steps and {neurons} neurons are more "
                f"than {MOST_VALUES} values to record: record less, or use fewer or longer steps"
            )
        packed = pack(
            program,
            steps=samples.steps,
            spikes=kept,
            history=names if record else (),
            drop=drop,
        )
        # a cache line or more for each sample: threads that share one would wait for each other
        counters = np.zeros((len(samples), 3, -(-len(names) // 8) * 8), np.int64)
        return cls(
            program=program,
            samples=samples,
            recorded=names if record else (),
            packed=packed,
            membranes=np.concatenate(
                [
                    value.reshape(len(samples), math.prod(value.shape[1:]))
                    for value in start.values()
                ],
                1,
            ),
            spikes=np.zeros((len(samples), _length(packed.spikes)), np.int32),
            history=np.zeros((len(samples), _length(packed.history)), np.int16),
            counters=counters,
        )

    def state(self, index: int, dtype: npt.DTypeLike) -> State:
        """Return the initial state of one sample: membranes of ``dtype``, counters at zero."""
        self.spikes[index] = 0
        self.counters[index] = 0
        membranes = aligned_zeros(self.packed.size, dtype)
        membranes[self.packed.neurons] = self.membranes[index]
        return State(
            membranes=membranes,
            # no bound is known yet: the first addition computes it
            bounds=np.full(self.packed.lines, np.iinfo(np.int64).max // 2),
            touched=np.ones(self.packed.lines, np.uint8),
            queue=np.empty((len(QueueField), self.packed.neurons.size), np.int32),
            counted=np.zeros(self.packed.counted, np.uint8),
            spikes=self.spikes[index],
            history=self.history[index],
            saturations=self.counters[index, 0],
            synops=self.counters[index, 1],
            counts=self.counters[index, 2],
        )

    def finish(self, index: int, state: State) -> None:
        """Store the membranes of a finished sample."""
        self.membranes[index] = state.membranes[self.packed.neurons]

    def recording(self, events: Mapping[str, tuple[Array, ...]] | None = None) -> SpeckRecording:
        """Return the recording of all samples; ``events`` by output."""
        packed, names = self.packed, [core.name for core in self.program.cores]
        spikes = {n: self._maps(n, self.spikes[:, at]) for n, at in packed.spikes.items()}
        v_mem = {n: self._maps(n, self.history[:, at]) for n, at in packed.history.items()}
        saturations, synops, counts = self.counters.transpose(1, 2, 0)[:, : len(names)].copy()
        return SpeckRecording(
            outputs={name: squeeze_map(spikes[name]) for name in self.program.outputs},
            state=self._state(),
            saturations=dict(zip(names, saturations.sum(1).tolist(), strict=True)),
            synops=dict(zip(names, synops, strict=True)),
            spike_counts=dict(zip(names, counts, strict=True)),
            input_counts=self.samples.counts(),
            steps=self.samples.steps,
            events=events or {},
            layers={
                name: SpeckLayerRecord(spikes=spikes[name], v_mem=v_mem[name])
                for name in self.recorded
            },
        )

    def _state(self) -> dict[str, Array]:
        state, at = {}, 0
        for core in self.program.cores:
            size = math.prod(core.output_shape)
            flat = self.membranes[:, at : at + size]
            state[core.name] = flat.reshape(len(flat), *core.output_shape).copy()
            at += size
        return state

    def _maps(self, name: str, flat: Array) -> Array:
        """Return (batch, steps, channels, y, x) of values in the order [step][y][x][channel]."""
        channels, height, width = self.program[name].output_shape
        maps = flat.reshape(flat.shape[0], self.samples.steps, height, width, channels)
        return np.ascontiguousarray(maps.transpose(0, 1, 4, 2, 3))


def aligned_zeros(size: int, dtype: npt.DTypeLike) -> Array:
    """Return an array of zeros that starts at a cache line."""
    padded = np.zeros(size + _CACHE_LINE, dtype)
    start = -padded.ctypes.data % _CACHE_LINE // padded.itemsize
    return padded[start : start + size]


def _length(places: Mapping[str, slice]) -> int:
    return max((place.stop for place in places.values()), default=0)

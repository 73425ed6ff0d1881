"""The clocked simulation of a Speck program: integers all the way, threads over samples."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.speck import kernel
from toolchain.chips.speck.pack import Tables, largest_sum, pack
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.raster import as_batch, events_of
from toolchain.chips.speck.recording import SpeckLayerRecord, SpeckRecording, squeeze_map

__all__ = ["check_wiring", "simulate", "start_state"]

Array = npt.NDArray[Any]


def simulate(
    program: SpeckProgram,
    raster: npt.ArrayLike,
    *,
    record: bool = False,
    timing: str = "clocked",
    state: Mapping[str, Array] | None = None,
    threads: int | None = None,
) -> SpeckRecording:
    r"""What the program does with a raster of spikes, step by step.

    In each step, core after core in the order of the program:

    .. math::
        v &\leftarrow \mathrm{sat}_{16}\bigl(v + b + \textstyle\sum w\,n_{in}\bigr), \quad
        n = \lfloor v / \theta \rfloor \text{ if } v \ge \theta \text{ else } 0, \\
        v &\leftarrow \max(v - n\,\theta,\ v_{low}) \quad
        \text{(return to zero: } v \leftarrow \max(0, v_{low}) \text{ where } n > 0)

    with an exact sum that is clamped once. Spikes are summed in windows of the destination's
    pooling; rows and columns beyond the last full window are dropped.

    Where no saturation is reported this is sinabs' ``IAFSqueeze`` with the same integers. It is
    not what silicon does event by event: a core updates a neuron, and fires at most once, for
    each incoming spike. The bias is added once a step, so it stands for the chip's leak only if
    the chip's slow clock ticks once in ``dt``.

    Args:
        program: at most what a chip holds; it need not be placed.
        raster: counts (steps, channels, y, x) or (batch, steps, channels, y, x): integers, truth
            values or whole floats from 0 to 32767 (a bound of this simulator, not of the chip).
        record: keep spikes and membranes of every layer at every step.
        timing: ``"clocked"``.
        state: membranes to start from, int16 (batch, channels, y, x) or (channels, y, x) by core;
            cores left out start from their ``initial``, or from zero.
        threads: at most this many samples at a time; by default as many as there are processors.

    Raises:
        ValueError: a raster, state or timing other than the above, or connected layers whose
            shapes disagree.

    Source: sinabs documentation, layers IAFSqueeze and SumPool2d; Speck Dev Kit manual, sections
    3.2.4.4 to 3.2.4.6.
    """
    if timing != "clocked":
        raise ValueError(f"timing {timing!r} is not available in this release: use 'clocked'")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be >= 1, got {threads}")
    check_wiring(program)
    batch = as_batch(raster, program.input_shape)
    names = [core.name for core in program.cores]
    tables = pack(
        program,
        steps=batch.shape[1],
        spikes=names if record else program.outputs,
        history=names if record else (),
    )
    run = _Run.of(program, tables, batch, start_state(program, batch.shape[0], state))
    workers = min(threads or _processors(), max(batch.shape[0], 1))
    if workers == 1:
        for sample in range(batch.shape[0]):
            run.sample(sample)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run.sample, range(batch.shape[0])))
    return run.recording(record=record)


def check_wiring(program: SpeckProgram) -> None:
    """Refuse a program in which a core is sent a map of another shape than it takes.

    Raises:
        ValueError: naming every such connection.
    """
    faults = []
    for core in program.cores:
        for source, target in program.sources(core.name):
            channels, height, width = program.input_shape if source is None else source.output_shape
            sent = (channels, height // target.pooling, width // target.pooling)
            if sent != core.input_shape:
                sender = "the input" if source is None else source.name
                faults.append(
                    f"{sender} sends {sent} to {core.name}, which takes {core.input_shape}"
                )
    if faults:
        raise ValueError("; ".join(faults))


def start_state(
    program: SpeckProgram, samples: int, state: Mapping[str, Array] | None
) -> dict[str, Array]:
    """Membranes int16 (batch, channels, y, x) by core before the first step.

    Raises:
        ValueError: a name that is no core, another shape, or values that int16 does not hold.
    """
    given = dict(state or {})
    start = {}
    for core in program.cores:
        shape = (samples, *core.output_shape)
        value = np.asarray(given.pop(core.name, 0 if core.initial is None else core.initial))
        if value.ndim and value.shape not in (shape, core.output_shape):
            raise ValueError(f"state of {core.name!r} has shape {shape}, got {value.shape}")
        if value.dtype.kind not in "iu" or (
            value.size and not (value.min() >= -32768 and value.max() <= 32767)
        ):
            raise ValueError(f"state of {core.name!r} holds integers from -32768 to 32767")
        start[core.name] = np.broadcast_to(value.astype(np.int16), shape)
    if given:
        raise ValueError(f"state of unknown cores: {', '.join(sorted(given))}")
    return start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """One call of ``simulate``: the inputs, and room for what comes out of each sample."""

    program: SpeckProgram
    tables: Tables
    batch: Array
    membranes: Array
    spikes: Array
    history: Array
    saturations: Array
    synops: Array
    counts: Array

    @classmethod
    def of(
        cls, program: SpeckProgram, tables: Tables, batch: Array, start: Mapping[str, Array]
    ) -> _Run:
        samples = batch.shape[0]
        lines = [start[core.name].transpose(0, 2, 3, 1) for core in program.cores]
        # Lines of their own in the cache: threads that count side by side would wait on each other.
        counters = np.zeros((3, samples, -(-len(program.cores) // 16) * 16), np.int64)
        return cls(
            program=program,
            tables=tables,
            batch=batch,
            membranes=np.concatenate(
                [n.reshape(samples, math.prod(n.shape[1:])) for n in lines], 1
            ),
            spikes=np.zeros((samples, _length(tables.spikes)), np.int32),
            history=np.zeros((samples, _length(tables.history)), np.int16),
            saturations=counters[0],
            synops=counters[1],
            counts=counters[2],
        )

    def sample(self, index: int) -> None:
        """Simulate one sample; others may be under way in other threads."""
        events, peak = events_of(self.batch, index)
        narrow = largest_sum(self.program, peak) < 2**31
        membranes = self.membranes[index].astype(np.int32 if narrow else np.int64)
        tables = self.tables
        kernel.run(
            self.batch.shape[1],
            events,
            tables.shape,
            tables.inputs,
            tables.cores,
            tables.targets,
            tables.phases,
            tables.weights,
            tables.biases,
            membranes,
            np.ones(tables.lines, np.uint8),
            self.spikes[index],
            self.history[index],
            self.saturations[index],
            self.synops[index],
            self.counts[index],
        )
        self.membranes[index] = membranes

    def recording(self, *, record: bool) -> SpeckRecording:
        names = [core.name for core in self.program.cores]
        tables, steps = self.tables, self.batch.shape[1]
        spikes = {n: self._maps(n, self.spikes[:, at], steps) for n, at in tables.spikes.items()}
        v_mem = {n: self._maps(n, self.history[:, at], steps) for n, at in tables.history.items()}
        state = {n: self._maps(n, self.membranes[:, at], 1) for n, at in tables.membranes.items()}
        return SpeckRecording(
            outputs={name: squeeze_map(spikes[name]) for name in self.program.outputs},
            state={name: value[:, 0] for name, value in state.items()},
            saturations=dict(zip(names, self.saturations.sum(0).tolist(), strict=False)),
            synops=dict(zip(names, self.synops.T.copy(), strict=False)),
            spike_counts=dict(zip(names, self.counts.T.copy(), strict=False)),
            layers={
                name: SpeckLayerRecord(spikes=spikes[name], v_mem=v_mem[name])
                for name in names
                if record
            },
        )

    def _maps(self, name: str, flat: Array, steps: int) -> Array:
        """(batch, steps, channels, y, x) of values that lie as [step][y][x][channel]."""
        channels, height, width = self.program[name].output_shape
        maps = flat.reshape(flat.shape[0], steps, height, width, channels)
        return np.ascontiguousarray(maps.transpose(0, 1, 4, 2, 3))


def _length(places: Mapping[str, slice]) -> int:
    return max((place.stop for place in places.values()), default=0)


def _processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

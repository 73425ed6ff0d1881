"""Forward pass of a program that is trained: the simulation, and what gradients need of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import check_threads
from toolchain.chips.xylo.lower.aliases import own_spikes
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.packed import packed_zeros
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.chips.xylo.simulate.session import XyloStream
from toolchain.chips.xylo.training.record import PassRecord, RecordedSteps, part_size, simulated
from toolchain.chips.xylo.training.structure import Structure, TrainedLayer
from toolchain.chips.xylo.training.values import with_values
from toolchain.runs.spikes import plain_array

__all__ = ["XyloTape", "flat", "forward"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class XyloTape:
    """Implement ``Tape``.

    Attributes:
        values, saturations: see ``Tape``.
        integers: values of the parameters.
        counts: uint8 (batch, time, inputs), the input.
        record: None for a pass without gradients.
        threads: as given.
    """

    values: Mapping[str, Array]
    saturations: Mapping[str, int]
    integers: Mapping[str, Array]
    counts: Array
    record: PassRecord | None
    threads: int | None


def flat(program: XyloProgram, spikes: Any) -> Array:
    """Return input spikes as counts (batch, time, inputs), which no caller changes later.

    Raises:
        ValueError: an invalid input.
    """
    given = plain_array(spikes, "spikes")
    if given.ndim > 3:
        given = given.reshape(*given.shape[:2], prod(given.shape[2:]))
    counts = as_counts(program, given)
    return counts.copy() if np.may_share_memory(counts, given) else counts


def forward(
    structure: Structure,
    integers: Mapping[str, Array],
    counts: Array,
    *,
    layers: Collection[str],
    gradient: bool,
    threads: int | None,
    budget: int,
) -> XyloTape:
    """Simulate from a reset core; see ``TrainableProgram.run``.

    Raises:
        ValueError: invalid ``threads``.
    """
    check_threads(threads)
    program = with_values(structure, integers)
    asked = [structure.layers[name] for name in layers]
    if not gradient and all(each.place.role == "output" and each.fires for each in asked):
        stream = XyloStream(program, len(counts), threads=threads)
        spikes = stream.spikes(counts)
        values = {layer.name: _shaped(spikes[..., layer.ids], layer) for layer in asked}
        return XyloTape(
            values=values,
            saturations={},
            integers=integers,
            counts=counts,
            record=None,
            threads=threads,
        )
    values = {layer.name: _empty(program, counts, layer) for layer in asked}
    saturations: Counter[str] = Counter({p.name: 0 for p in program.populations})
    size = part_size(program, len(counts), budget)
    record = _run(program, counts, size, asked, values, saturations, threads)
    return XyloTape(
        values={layer.name: _shaped(values[layer.name], layer) for layer in asked},
        saturations=dict(saturations),
        integers=integers,
        counts=counts,
        record=record if gradient else None,
        threads=threads,
    )


def _run(
    program: XyloProgram,
    counts: Array,
    size: int,
    asked: Collection[TrainedLayer],
    values: Mapping[str, Array],
    saturations: Counter[str],
    threads: int | None,
) -> PassRecord:
    """Simulate part by part; fill ``values``, add to ``saturations`` and return the record."""
    batch, steps = counts.shape[:2]
    packed, states = packed_zeros(program, batch), []
    recorded = {"v_mem", "v_mem_out"} | {f"{program.readout}_out"} - {"spikes_out"}
    trace: RecordedSteps | None = None
    for first in range(0, max(1, steps), size):
        states.append(packed.copy())
        trace = None  # frees the memory of the part before
        part = counts if steps <= size else np.ascontiguousarray(counts[:, first : first + size])
        trace = simulated(program, part, packed, states=recorded, first=first, threads=threads)
        saturations.update(trace.saturations)
        _fill(program, trace, asked, values)
    whole = steps <= size
    return PassRecord(
        program=program,
        counts=counts,
        size=size,
        whole=trace if whole else None,
        states=() if whole else tuple(states),
    )


def _fill(
    program: XyloProgram,
    trace: RecordedSteps,
    asked: Collection[TrainedLayer],
    values: Mapping[str, Array],
) -> None:
    own = None
    for layer in asked:
        if layer.place.role == "output":
            found = trace.arrays["spikes" if layer.fires else f"{program.readout}_out"]
        else:
            if own is None:
                own = own_spikes(program, trace.arrays["hidden_spikes"])
            found = own
        values[layer.name][:, trace.first : trace.stop] = found[..., layer.ids]


def _empty(program: XyloProgram, counts: Array, layer: TrainedLayer) -> Array:
    state = layer.place.role == "output" and not layer.fires
    return np.zeros((*counts.shape[:2], layer.neurons), np.int16 if state else np.int8)


def _shaped(values: Array, layer: TrainedLayer) -> Array:
    return values.reshape(*values.shape[:2], *layer.shape)

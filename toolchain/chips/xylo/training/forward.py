"""Forward pass of a program that is trained: the simulation, and what gradients need of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from toolchain.arrays import Array
from toolchain.chips.xylo.lower.aliases import own_spikes
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.chips.xylo.simulate.recording import XyloRecording
from toolchain.chips.xylo.simulate.session import XyloStream
from toolchain.chips.xylo.training.structure import Layer, Structure
from toolchain.chips.xylo.training.values import with_values
from toolchain.runs.spikes import plain_array

__all__ = ["Trace", "XyloTape", "flat", "forward"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Recorded integers of a batch.

    Attributes:
        hidden: int8 (batch, time, hidden), spikes, with those received through aliases.
        v_mem: int16 (batch, time, hidden), after reset.
        output: int8 (batch, time, outputs).
        v_mem_out: int16 (batch, time, outputs).
    """

    hidden: Array
    v_mem: Array
    output: Array
    v_mem_out: Array

    def spikes(self, layer: Layer) -> Array:
        """Return the spikes of a layer, with those received."""
        return (self.output if layer.place.role == "output" else self.hidden)[..., layer.ids]

    def membranes(self, layer: Layer) -> Array:
        """Return the membranes of a layer after reset."""
        return (self.v_mem_out if layer.place.role == "output" else self.v_mem)[..., layer.ids]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class XyloTape:
    """Implement ``Tape``.

    Attributes:
        integers: values of the parameters.
        counts: uint8 (batch, time, inputs), the input.
        trace: None for a pass without gradients.
        threads: as given.
    """

    values: Mapping[str, Array]
    saturations: Mapping[str, int]
    integers: Mapping[str, Array]
    counts: Array
    trace: Trace | None
    threads: int | None


def flat(program: XyloProgram, spikes: Any) -> Array:
    """Return input spikes as counts (batch, time, inputs).

    Raises:
        ValueError: an invalid input.
    """
    given = plain_array(spikes, "spikes")
    if given.ndim > 3:
        given = given.reshape(*given.shape[:2], prod(given.shape[2:]))
    return as_counts(program, given)


def forward(
    structure: Structure,
    integers: Mapping[str, Array],
    counts: Array,
    layers: Collection[str],
    gradient: bool,
    threads: int | None,
) -> XyloTape:
    """Simulate from a reset core."""
    program = with_values(structure, integers)
    hidden = any(structure.layers[name].place.role == "hidden" for name in layers)
    stream = XyloStream(program, len(counts), record=gradient or hidden, threads=threads)
    found = stream.run_counts(counts)
    own = None
    if hidden:
        assert found.hidden_spikes is not None
        own = own_spikes(program, found.hidden_spikes)
    values = {name: _values(found, own, structure.layers[name]) for name in layers}
    return XyloTape(
        values=values,
        saturations=found.saturations or {},
        integers=integers,
        counts=counts,
        trace=_trace(found) if gradient else None,
        threads=threads,
    )


def _values(found: XyloRecording, own: Array | None, layer: Layer) -> Array:
    if layer.place.role == "output":
        values = found.spikes if layer.fires else found.readout
    else:
        values = own
    assert values is not None
    part = values[..., layer.ids]
    return part.reshape(*part.shape[:2], *layer.shape)


def _trace(found: XyloRecording) -> Trace:
    assert found.hidden_spikes is not None
    assert found.v_mem is not None
    assert found.v_mem_out is not None
    return Trace(
        hidden=found.hidden_spikes,
        v_mem=found.v_mem,
        output=found.spikes,
        v_mem_out=found.v_mem_out,
    )

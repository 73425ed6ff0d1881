"""What a forward pass leaves for the backward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckProgram

__all__ = ["LayerRecord", "SpeckTape"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerRecord:
    """Record of a core, (batch, time, y, x, channels).

    Attributes:
        spikes: of each step.
        v_mem: membranes at its end.
    """

    spikes: Array
    v_mem: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeckTape:
    """Result of a forward pass; implements ``Tape``.

    Attributes:
        values: spikes of the layers that were asked for, int32 (batch, time, channels, y, x).
        saturations: number of sums that were clamped to 16 bits, by layer.
        program: with the integers of the pass.
        counts: spikes that the cores receive from the input, (batch, time, y, x, channels), behind
            the sensor; None without a record.
        layers: record of each core; empty without.
    """

    values: Mapping[str, Array]
    saturations: Mapping[str, int]
    program: SpeckProgram
    counts: Array | None
    layers: Mapping[str, LayerRecord]

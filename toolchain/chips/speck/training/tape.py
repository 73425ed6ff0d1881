"""Record that a forward pass leaves for the backward pass.

The record of a pass is spikes and membranes of every core at every step, as the simulators write
them. Where that is too large, the pass keeps the state at the start of each segment of steps, and
the backward pass simulates the segment again, for the samples at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from toolchain.arrays import Array
from toolchain.chips.speck.training.tables import Recorded

__all__ = ["Segment", "SegmentReader", "SpeckTape"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Record of some steps of some samples.

    Attributes:
        places: of each core in a row of the record.
        spikes: int32 (samples, size), the spikes of each step.
        v_mem: int16 (samples, size), the membranes at its end.
        start: in event timing the membranes before the first step, int16 (samples, neurons) by
            core, [y][x][channel]; empty in clocked timing, which does not need them.
        events: input of each sample behind the sensor, int32 (4, n): step from the start of the
            segment on, y, channel * width + x, and count.
    """

    places: Recorded
    spikes: Array
    v_mem: Array
    start: Mapping[str, Array]
    events: list[Array]


SegmentReader = Callable[[int, range], Segment]
"""Returns the record of a segment, by its number, for some samples."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeckTape:
    """Result of a forward pass; implements ``Tape``.

    Attributes:
        values: spikes of the layers that were asked for, int32 (batch, time, channels, y, x).
        saturations: number of sums that were clamped to 16 bits, by layer.
        integers: values of the parameters.
        batch, steps: samples and steps.
        segments: first step of each segment and the one after its last, in order.
        read: returns the record of a segment; None where no gradient was asked for.
        threads: samples simulated at a time.
    """

    values: Mapping[str, Array]
    saturations: Mapping[str, int]
    integers: Mapping[str, Array]
    batch: int
    steps: int
    segments: tuple[tuple[int, int], ...]
    read: SegmentReader | None
    threads: int | None

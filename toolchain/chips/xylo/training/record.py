"""Record of a pass: the integers that gradients need, or states from which to compute them again.

A record that would exceed its budget is divided in time. Only the states between its parts are
kept, and the backward pass simulates each part again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.packed import recorded_states
from toolchain.chips.xylo.training.structure import TrainedLayer

__all__ = ["BUDGET", "STEPS", "PassRecord", "RecordedSteps", "part_size", "simulated"]

STEPS = 32
"""Timesteps of a piece of the backward pass, whose gradients of a weight are one matrix product."""

BUDGET = 128_000_000
"""Largest record that is kept by default, byte."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedSteps:
    """Recorded integers of some samples in some timesteps.

    Attributes:
        sample, first, stop: the first sample; the timesteps, as a half-open range.
        arrays: ``spikes`` and ``hidden_spikes`` int8, ``v_mem`` and ``v_mem_out`` int16 and what
            else was asked for, (samples, steps, neurons).
        saturations: cut additions by population.
    """

    sample: int
    first: int
    stop: int
    arrays: Mapping[str, Array]
    saturations: Mapping[str, int]

    def of(self, layer: TrainedLayer) -> tuple[Array, Array]:
        """Return spikes and membranes of all neurons of the layer's role."""
        if layer.place.role == "output":
            return self.arrays["spikes"], self.arrays["v_mem_out"]
        return self.arrays["hidden_spikes"], self.arrays["v_mem"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassRecord:
    """Record of a pass.

    Attributes:
        program: the program.
        counts: uint8 (batch, time, inputs), the input.
        size: timesteps of a part.
        whole: the integers of all timesteps, or None.
        states: packed states at the start of each part; empty where ``whole`` is there.
    """

    program: XyloProgram
    counts: Array
    size: int
    whole: RecordedSteps | None
    states: Sequence[Array]

    def backward(self, samples: range) -> Iterator[RecordedSteps]:
        """Yield the recorded integers of some samples, the last timesteps first."""
        if self.whole is not None:
            yield self.whole
            return
        for part, packed in reversed([*enumerate(self.states)]):
            first = part * self.size
            counts = self.counts[samples.start : samples.stop, first : first + self.size]
            yield simulated(
                self.program,
                np.ascontiguousarray(counts),
                packed[samples.start : samples.stop].copy(),
                states=("v_mem", "v_mem_out"),
                sample=samples.start,
                first=first,
                threads=1,
            )


def part_size(program: XyloProgram, batch: int, budget: int) -> int:
    """Return the timesteps whose record is within the budget, whole pieces and at least one."""
    bytes_of_step = 3 * batch * (program.hidden + program.outputs)
    return max(1, budget // max(1, bytes_of_step * STEPS)) * STEPS


def simulated(
    program: XyloProgram,
    counts: Array,
    packed: Array,
    *,
    states: Collection[str],
    first: int,
    threads: int | None,
    sample: int = 0,
) -> RecordedSteps:
    """Simulate some timesteps from ``packed`` on, which is overwritten, and record them.

    Args:
        program: the program.
        counts: (samples, steps, inputs).
        packed: states of the samples.
        states: names of the states to record.
        first: the first timestep.
        threads: samples simulated at a time.
        sample: the first sample.
    """
    # numba takes a third of a second to import
    from toolchain.chips.xylo.simulate import kernel

    batch, steps = counts.shape[:2]
    spikes = np.zeros((batch, steps, program.outputs), np.int8)
    traces, found = recorded_states(program, batch, steps, states)

    def run(samples: range) -> None:
        kernel.run(program, samples, counts, spikes, packed, traces)

    each(run, kernel.divide(program, batch, steps, True, threads), threads)
    return RecordedSteps(
        sample=sample,
        first=first,
        stop=first + steps,
        arrays={"spikes": spikes, "hidden_spikes": traces.hidden_spikes, **found},
        saturations=traces.saturations(program),
    )

"""The shift of each weight matrix.

A large shift makes states large, and then the chip's decays, which subtract whole numbers, are
close to the trained ones; a shift that is too large leaves few levels to the weights. All
populations whose weights are in one matrix share its shift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.progress import Step
from toolchain.chips.xylo.quantize import measure
from toolchain.chips.xylo.quantize.decays import ChipDecays
from toolchain.chips.xylo.quantize.measure import PopulationTrace
from toolchain.chips.xylo.quantize.plan import Plan, PopulationIntegers, XyloWords
from toolchain.chips.xylo.quantize.populations import MATRICES, FloatPopulation, WeightMatrix
from toolchain.chips.xylo.quantize.scale import scale_for_states, to_integers

__all__ = ["PASSES", "ShiftSearch"]

MOST = 1_500_000
"""Neurons of the network times timesteps times samples on which each population is tried."""
DEPTHS = (2048.0, 512.0, 128.0, 64.0, 32.0, 16.0, 8.0, 4.0)
"""Depths that are tried, in thresholds: states saturate beyond them."""
PASSES = 2
"""Passes over all matrices, since the best shift of one depends on the others."""
BETTER_FACTOR = 0.9
"""Saturation has to reduce the disagreement below this fraction of that without."""
WORSE_FACTOR = 1.5
"""Where saturation raises the disagreement above this multiple, smaller depths are not tried."""
FACTORS = np.linspace(0.92, 1.08, 9)
"""Factors on the thresholds of a population: a wrong rate must not count against a shift."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftSearch:
    """Search for the shifts, each population tried by itself on the trained network's spikes.

    Attributes:
        populations, traces, decays: populations by name, their input spikes and their decays.
        words: of the chip.
        passes: over all matrices, since the best shift of one depends on the others.
        depths: that are tried, in thresholds, see ``DEPTHS``.
    """

    populations: Mapping[str, FloatPopulation]
    traces: Mapping[str, PopulationTrace]
    decays: Mapping[str, ChipDecays]
    words: XyloWords
    passes: int = PASSES
    depths: tuple[float, ...] = DEPTHS
    _known: dict[tuple[str, tuple[int, ...]], tuple[float, float]] = field(default_factory=dict)

    def plan(self, step: Step) -> Plan:
        """Return the shifts with which the populations differ least from the trained ones.

        Tries every shift of one matrix after the other, ``passes`` times.
        """
        used = [m for m in MATRICES if any(m in c.matrices for c in self.populations.values())]
        shifts = {m: self._first(m) for m in used}

        def cost() -> float:
            return sum(self._best(name, shifts)[0] for name in self.populations)

        for _ in range(self.passes):
            for matrix in used:
                costs = []
                for shift in range(self.words.shift + 1):
                    shifts[matrix] = shift
                    costs.append(cost())
                    step()
                shifts[matrix] = int(np.argmin(costs))
        choices = {n: self._integers(n, shifts, self._best(n, shifts)[1]) for n in self.populations}
        return Plan(choices=choices, shifts=shifts)

    def _first(self, matrix: WeightMatrix) -> int:
        """Return the shift at which weights and states fill their words together."""
        fitting_shifts: list[Array] = []
        for name, c in self.populations.items():
            if matrix in c.matrices:
                largest = (c.largest(matrix) * self.decays[name].rows).max(axis=1)
                levels = scale_for_states(self.decays[name], self.words) * largest
                fitting_shifts.append(np.log2(levels[largest > 0] / self.words.weight))
        found = np.concatenate(fitting_shifts)
        return int(np.clip(np.rint(np.median(found)), 0, self.words.shift)) if found.size else 0

    def _best(self, name: str, shifts: Mapping[WeightMatrix, int]) -> tuple[float, float]:
        """Return the least disagreement of one population at these shifts, and its depth."""
        key = name, tuple(shifts[m] for m in self.populations[name].matrices)
        if key not in self._known:
            self._known[key] = self._deepest(name, shifts)
        return self._known[key]

    def _deepest(self, name: str, shifts: Mapping[WeightMatrix, int]) -> tuple[float, float]:
        """Try smaller and smaller depths; return the least disagreement and its depth."""
        before = self._integers(name, shifts, np.inf)
        least, best = self._disagreement(name, before), np.inf
        for depth in self.depths:
            tried = self._integers(name, shifts, depth)
            if np.array_equal(tried.scale, before.scale):
                continue
            found = self._disagreement(name, tried)
            if found > WORSE_FACTOR * least:
                break
            if found < BETTER_FACTOR * least:
                least, best = found, depth
            before = tried
        return least, best

    def _integers(
        self, name: str, shifts: Mapping[WeightMatrix, int], depth: float
    ) -> PopulationIntegers:
        return to_integers(
            self.populations[name], self.decays[name], shifts, self.words, depth=depth
        )

    def _disagreement(self, name: str, choice: PopulationIntegers) -> float:
        """Return missing and surplus spikes, as a fraction of the wanted spikes."""
        population = self.populations[name]
        steps = self.traces[name].spikes[0].shape[2]
        neurons = sum(c.neurons for c in self.populations.values())
        trace = self.traces[name].part(max(1, MOST // (steps * neurons)))
        found = measure.respond(
            population,
            trace,
            measure.drive(population, trace, choice.weights),
            (choice.dash_mem, choice.dash_syn),
            np.maximum(1, np.rint(choice.threshold[:, None] * FACTORS)),
            choice.bias[:, None],
            self.words.state,
        )
        distance = found.distance.sum(axis=0).min()
        return float(distance) / max(1.0, float(trace.wanted.sum()))

"""The float network and the simulated chip on the spikes of a search."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.lower.aliases import own_spikes
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.quantize import measure
from toolchain.chips.xylo.quantize.measure import PopulationTrace
from toolchain.chips.xylo.quantize.populations import read_populations
from toolchain.chips.xylo.simulate.run import simulate
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph
from toolchain.runs.bounded import part_within
from toolchain.runs.copies import with_copies
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import count_agreement

__all__ = ["Evaluator"]

MOST = 4_000_000
"""Most neurons times timesteps times samples that a search uses."""
FEW, COPIED = 8, 32
"""With fewer samples, changed copies are added, up to so many."""
MANY = 64
"""Samples on which weights are fitted; of fewer, changed copies are added."""


class Evaluator:
    """Float network with the subset of the calibration spikes that a search uses.

    Attributes:
        graph, chip: as given.
        populations: by name, producers first.
        outputs: the populations that are read out.
        spikes: the subset, (batch, time, inputs), after it the copies of few samples.
        given: number of samples without copies; networks are compared on these.
    """

    def __init__(
        self,
        graph: Graph,
        chip: XyloChip,
        calibration: Array,
        reference: Graph | None = None,
        *,
        copies: bool = False,
    ) -> None:
        """Simulate the float network on ``calibration`` (batch, time, *features), not empty.

        Args:
            graph: the network that is quantized.
            chip: the target.
            calibration: spikes.
            reference: the network whose spikes are wanted, if these are not those of ``graph``.
            copies: whether changed copies are added to few samples.
        """
        layers = read_layers(graph)
        limits = chip.limits
        self.graph, self.chip = graph, chip
        self.outputs = tuple(layers.outputs)
        self.populations = read_populations(
            layers,
            hidden_cap=int(limits.hidden_spikes.value),
            output_cap=int(limits.output_spikes.value),
        )
        neurons = sum(c.neurons for c in self.populations.values())
        part = part_within(calibration, neurons, MOST)
        room = MOST // (neurons * part.shape[1])
        self.spikes = with_copies(part, min(COPIED, room)) if copies and len(part) < FEW else part
        self.given = len(part)
        self._reference = reference
        flat = self.spikes.reshape(*self.spikes.shape[:2], -1)
        wanted = graph if reference is None else reference
        trained = interpret(wanted, self.spikes, record=True).layers
        self._lags = layers.lags()
        self._trained = {n: _neurons_first(trained[n].spikes) for n in self.populations}
        self._trained[layers.input] = _neurons_first(flat)
        self._input = layers.input
        self._window = max(1, -(-flat.shape[1] // measure.WINDOWS))
        self._wanted = {
            n: measure.window_counts(self._trained[n], self._window) for n in self.populations
        }

    def trace(self, name: str, fired: Mapping[str, Array] | None = None) -> PopulationTrace:
        """Return what ``name`` receives while all spike as trained, or as in ``fired``."""
        spikes = self._trained if fired is None else fired
        return PopulationTrace(
            spikes=tuple(_delayed(spikes[s.pre], s.delay) for s in self.populations[name].sources),
            own=self._trained[name],
            wanted=self._wanted[name],
            window=self._window,
        )

    def with_more(self) -> Evaluator:
        """Return the same with copies if there are too few samples to fit weights."""
        neurons = sum(c.neurons for c in self.populations.values())
        samples = min(MANY, MOST // (neurons * self.spikes.shape[1]))
        if len(self.spikes) >= samples:
            return self
        spikes = with_copies(self.spikes[: self.given], samples)
        return Evaluator(self.graph, self.chip, spikes, reference=self._reference)

    def on_chip(self, quantized: Graph) -> dict[str, Array]:
        """Return spikes (neurons, samples, time) of the input and every population, lags undone."""
        program = lower(quantized, self.chip)
        late, steps = max(0, *self._lags.values()), self.spikes.shape[1]
        flat = self.spikes.reshape(*self.spikes.shape[:2], -1)
        run = simulate(program, np.pad(flat, ((0, 0), (0, late), (0, 0))), record=True)
        assert run.hidden_spikes is not None
        hidden = own_spikes(program, run.hidden_spikes)
        fired = {self._input: self._trained[self._input]}
        for p in program.populations:
            lag = max(0, self._lags[p.name])
            spikes = run.spikes if p.role == "output" else hidden
            fired[p.name] = _neurons_first(spikes[:, lag : lag + steps, p.start : p.stop])
        return fired

    def agreement(self, fired: Mapping[str, Array]) -> float:
        """Return the agreement of output spike counts with those of the float network.

        The last steps are left out: the chip would give their spikes after the end.
        """
        late = max(0, *(self._lags[name] for name in self.outputs))
        steps = max(0, self.spikes.shape[1] - late)
        wanted, got = (
            np.moveaxis(
                np.concatenate([s[name][:, : self.given, :steps] for name in self.outputs]), 0, 2
            )
            for s in (self._trained, fired)
        )
        return count_agreement(wanted, got)

    def distance(self, fired: Mapping[str, Array]) -> float:
        """Return missing and surplus output spikes, see ``measure.count_distance``."""
        return sum(map(partial(self._distance_of, fired), self.outputs))

    def _distance_of(self, fired: Mapping[str, Array], name: str) -> float:
        counts = measure.window_counts(fired[name][:, : self.given], self._window)
        wanted = self._wanted[name][:, : self.given]
        return float(measure.count_distance(wanted, counts[:, None]).sum())


def _neurons_first(spikes: Array) -> Array:
    """Return ``(batch, time, *features)`` as (features, batch, time)."""
    return np.moveaxis(spikes.reshape(*spikes.shape[:2], -1), 2, 0)


def _delayed(spikes: Array, delay: int) -> Array:
    """Return ``spikes`` (neurons, samples, time) as float32, ``delay`` timesteps later.

    Counts of a network without cap are cut at a number that no chip reaches.
    """
    late = np.zeros(spikes.shape, np.float32)
    early = spikes[:, :, : spikes.shape[2] - delay]
    late[:, :, delay:] = np.minimum(early, measure.MOST) if early.dtype.kind == "f" else early
    return late

"""Search without calibration: integers are set on guessed spikes, and judged on others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.uncalibrated import GuessChoice, GuessComparison, compare_on_guess
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.quantize.auto import Candidate, candidates
from toolchain.chips.xylo.quantize.evaluator import Evaluator
from toolchain.chips.xylo.quantize.plan import Plan
from toolchain.chips.xylo.simulate.run import simulate
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph, Neuron
from toolchain.runs.bounded import neurons_of
from toolchain.runs.guessed_kinds import guessed_kinds

__all__ = [
    "choose_on_guess",
    "compare_integers",
    "guessed_evaluator",
    "guessed_spikes",
    "within_caps",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikesOfKind:
    """Guessed spikes of each kind: fewer samples, then fewer steps, for large networks.

    Attributes:
        samples, steps: most and fewest.
        work: neurons times timesteps times samples of a kind that is aimed at.
        seed: of the spikes.
    """

    samples: tuple[int, int]
    steps: tuple[int, int]
    work: int
    seed: int

    def of(self, graph: Graph, chip: XyloChip) -> Mapping[str, Array]:
        """Return the spikes (batch, time, *features) of every kind."""
        room = self.work // max(1, neurons_of(graph))
        samples = _between(self.samples, room // self.steps[0])
        return guessed_kinds(
            graph.shape(graph.input),
            most=int(chip.limits.input_spikes.value),
            samples=samples,
            steps=_between(self.steps, room // samples),
            seed=self.seed,
        )


def _between(most_and_fewest: tuple[int, int], value: int) -> int:
    most, fewest = most_and_fewest
    return min(most, max(fewest, value))


SET_ON = SpikesOfKind(samples=(3, 2), steps=(48, 24), work=60_000, seed=0)
"""Spikes on which integers are set."""
JUDGED_ON = SpikesOfKind(samples=(12, 3), steps=(120, 60), work=300_000, seed=1)
"""Spikes on which they are judged."""


def choose_on_guess(
    graph: Graph, chip: XyloChip, rivals: Mapping[str, Graph], method: str
) -> tuple[GuessChoice, Plan | None]:
    """Return the integers that agree best with the float network on guessed spikes, and their plan.

    Args:
        graph: the float network; it fires within the chip's limits.
        chip: the target.
        rivals: integers by quantizer, with scales of the weights alone.
        method: ``auto``: plans are set on guessed spikes of all kinds, and judged, like the
            rivals, on others of these kinds. Or the rival that alone is judged.

    Returns:
        The choice, and the plan of its integers; None for those of a rival.
    """
    if method in rivals:
        rivals, plans = {method: rivals[method]}, {}
    else:
        found = _distinct(candidates(guessed_evaluator(graph, chip)))
        plans = {f"auto {n}": candidate for n, candidate in enumerate(found)}
    tried = {**rivals, **{name: candidate.graph for name, candidate in plans.items()}}
    compared = compare_integers(graph, chip, tried)
    choice = GuessChoice.among(tried, compared, floats=graph, own=plans, fitted=plans)
    return choice, plans[choice.name].plan if choice.name in plans else None


def guessed_evaluator(graph: Graph, chip: XyloChip) -> Evaluator:
    """Return the network, within the chip's limits, on the spikes that integers are set on."""
    spikes = guessed_spikes(graph, chip)
    return Evaluator(graph, chip, spikes, reference=within_caps(graph, chip))


def guessed_spikes(graph: Graph, chip: XyloChip) -> Array:
    """Return the spikes (batch, time, *features) of all kinds that integers are set on."""
    return np.concatenate([*SET_ON.of(graph, chip).values()])


def compare_integers(graph: Graph, chip: XyloChip, tried: Mapping[str, Graph]) -> GuessComparison:
    """Compare integers with the float network on guessed spikes."""
    lag, capped = max(0, read_layers(graph).lag()), within_caps(graph, chip)
    caps, given = (
        [node.max_spikes for node in each.of(Neuron).values()] for each in (capped, graph)
    )
    floats = [graph] if caps == given else [graph, capped]
    return compare_on_guess(
        JUDGED_ON.of(graph, chip), floats, tried, partial(_outputs, chip=chip, lag=lag)
    )


def _outputs(integers: Graph, spikes: Array, chip: XyloChip, lag: int) -> Array:
    """Return output spikes of a chip that is ``lag`` steps late, as if it were not."""
    program = lower(integers, chip)
    flat = spikes.reshape(*spikes.shape[:2], -1)
    return simulate(program, np.pad(flat, ((0, 0), (0, lag), (0, 0)))).spikes[:, lag:]


def within_caps(graph: Graph, chip: XyloChip) -> Graph:
    """Return the float network with at most as many spikes a step as the chip gives.

    What the chip cannot do anyway must not hide the differences between integers.
    """
    hidden, output = (
        int(limit.value) for limit in (chip.limits.hidden_spikes, chip.limits.output_spikes)
    )

    def capped(name: str, node: Neuron) -> Neuron:
        cap = output if name in graph.outputs else hidden
        return replace(
            node, max_spikes=cap if node.max_spikes is None else min(cap, node.max_spikes)
        )

    return graph.map(Neuron, capped)


def _distinct(found: list[Candidate]) -> list[Candidate]:
    """Return the candidates without those whose thresholds and all else equal an earlier one's."""
    kept: dict[bytes, Candidate] = {}
    for candidate in found:
        kept.setdefault(candidate.key(), candidate)
    return list(kept.values())

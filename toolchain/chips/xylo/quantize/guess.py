"""Search without calibration: integers are set on guessed spikes, and judged on others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.uncalibrated import GuessComparison, compare_on_guess, weights_vanish
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.quantize.auto import Candidate, candidates
from toolchain.chips.xylo.quantize.evaluator import Evaluator
from toolchain.chips.xylo.quantize.plan import Plan
from toolchain.chips.xylo.simulate.run import simulate
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph, Neuron
from toolchain.runs.guessed_kinds import guessed_kinds
from toolchain.runs.interpret import interpret

__all__ = [
    "GuessedSearch",
    "compare_integers",
    "guessed_evaluator",
    "guessed_spikes",
    "search_on_guess",
    "within_caps",
]

SET_ON = {"samples": 3, "steps": 48, "seed": 0}
"""Size of each kind of guessed spikes on which integers are set."""
JUDGED_ON = {"samples": 12, "steps": 120, "seed": 1}
"""Size of each kind on which they are judged."""
MOST = 20_000_000
"""Neurons times timesteps times samples of a kind on which integers are judged at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GuessedSearch:
    """Result of a search without calibration.

    Attributes:
        graph: integers.
        plan: the choices of the search; None if the integers are those of a rival.
        chosen: ``auto``, or the rival whose integers these are.
        compared: all of them on guessed spikes; for ``auto`` the best of its plans.
    """

    graph: Graph
    plan: Plan | None
    chosen: str
    compared: GuessComparison


def search_on_guess(graph: Graph, chip: XyloChip, rivals: Mapping[str, Graph]) -> GuessedSearch:
    """Return the integers that agree best with the float network on guessed spikes.

    The rivals set scales by the weights alone; the plans are set on guessed spikes of all kinds,
    and all are judged on others of these kinds. The float network fires within the chip's limits.
    """
    found = _distinct(candidates(guessed_evaluator(graph, chip)))
    plans = {f"auto {n}": candidate for n, candidate in enumerate(found)}
    tried = {**rivals, **{name: candidate.graph for name, candidate in plans.items()}}
    compared = compare_integers(graph, chip, tried)
    alive = [name for name, integers in tried.items() if not weights_vanish(graph, integers)]
    usable = alive or [*tried]
    mine = [name for name in usable if name not in rivals]
    chosen = compared.choose([name for name in usable if name in rivals], mine)
    own = chosen not in rivals
    best = chosen if own else compared.best([name for name in tried if name not in rivals])
    return GuessedSearch(
        graph=tried[chosen],
        plan=plans[best].plan if own else None,
        chosen="auto" if own else chosen,
        compared=compared.renamed({best: "auto", **{name: name for name in rivals}}),
    )


def guessed_evaluator(graph: Graph, chip: XyloChip) -> Evaluator:
    """Return the network, within the chip's limits, on the spikes that integers are set on."""
    spikes = guessed_spikes(graph, chip)
    return Evaluator(graph, chip, spikes, reference=within_caps(graph, chip))


def guessed_spikes(graph: Graph, chip: XyloChip) -> Array:
    """Return the spikes (batch, time, *features) of all kinds that integers are set on."""
    return np.concatenate([*_kinds(graph, chip, **SET_ON).values()])


def compare_integers(graph: Graph, chip: XyloChip, tried: Mapping[str, Graph]) -> GuessComparison:
    """Compare integers with the float network on guessed spikes."""
    neurons = graph.of(Neuron)
    count = sum(int(np.prod(node.shape)) for node in neurons.values())
    size = {**JUDGED_ON}
    size["samples"] = max(2, min(size["samples"], MOST // (count * size["steps"])))
    lag, capped = max(0, read_layers(graph).lag()), within_caps(graph, chip)
    same = all(
        node.max_spikes == other.max_spikes
        for node, other in zip(neurons.values(), capped.of(Neuron).values(), strict=True)
    )
    floats = [graph] if same else [graph, capped]

    def run(integers: Graph) -> Callable[[Array], Array]:
        return partial(_outputs, lower(integers, chip), lag)

    return compare_on_guess(
        _kinds(graph, chip, **size),
        [partial(_float_outputs, each) for each in floats],
        {name: run(integers) for name, integers in tried.items()},
    )


def _float_outputs(graph: Graph, spikes: Array) -> Array:
    return interpret(graph, spikes).spikes


def _outputs(program: XyloProgram, lag: int, spikes: Array) -> Array:
    """Return output spikes of a chip that is ``lag`` steps late, as if it were not."""
    flat = spikes.reshape(*spikes.shape[:2], -1)
    return simulate(program, np.pad(flat, ((0, 0), (0, lag), (0, 0)))).spikes[:, lag:]


def _kinds(
    graph: Graph, chip: XyloChip, *, samples: int, steps: int, seed: int
) -> Mapping[str, Array]:
    return guessed_kinds(
        graph.shape(graph.input),
        most=int(chip.limits.input_spikes.value),
        samples=samples,
        steps=steps,
        seed=seed,
    )


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

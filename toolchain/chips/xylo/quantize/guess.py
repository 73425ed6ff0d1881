"""Search without calibration: integers are set on guessed spikes, and judged on others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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

SET_ON = {"samples": 3, "steps": 48, "seed": 0}
"""Size of each kind of guessed spikes on which integers are set."""
JUDGED_ON = {"samples": 12, "steps": 120, "seed": 1}
"""Size of each kind on which they are judged."""
MOST = 20_000_000
"""Neurons times timesteps times samples of a kind on which integers are judged at most."""


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
    return np.concatenate([*_kinds(graph, chip, **SET_ON).values()])


def compare_integers(graph: Graph, chip: XyloChip, tried: Mapping[str, Graph]) -> GuessComparison:
    """Compare integers with the float network on guessed spikes."""
    size = {**JUDGED_ON}
    room = MOST // (max(1, neurons_of(graph)) * size["steps"])
    size["samples"] = max(2, min(size["samples"], room))
    lag, capped = max(0, read_layers(graph).lag()), within_caps(graph, chip)
    caps, given = (
        [node.max_spikes for node in each.of(Neuron).values()] for each in (capped, graph)
    )
    floats = [graph] if caps == given else [graph, capped]
    return compare_on_guess(
        _kinds(graph, chip, **size), floats, tried, partial(_outputs, chip=chip, lag=lag)
    )


def _outputs(integers: Graph, spikes: Array, chip: XyloChip, lag: int) -> Array:
    """Return output spikes of a chip that is ``lag`` steps late, as if it were not."""
    program = lower(integers, chip)
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

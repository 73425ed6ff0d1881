"""Integers found on data: each layer on what the float network sends it, then all together.

For each layer a bounded list of scales is tried (:mod:`.candidates`), and the one is kept whose
spike counts agree best with the float layer's. Then, layer after layer, the runners-up are tried in
the whole network, where what leaves it is compared. At last the sinabs scales (:mod:`.common`)
take their place if they agree better on all of the data. Nothing is drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.progress import steps
from toolchain.chips.speck.quantize.candidates import candidates
from toolchain.chips.speck.quantize.common import common
from toolchain.chips.speck.quantize.joint import MOST_TAPS, moments
from toolchain.chips.speck.quantize.layer import (
    CoreLayer,
    Integers,
    SpeckWords,
    apply_integers,
    read_layers,
)
from toolchain.chips.speck.quantize.measure import (
    LayerTrace,
    excerpt,
    float_outputs,
    quantized_outputs,
    respond,
    trace_layers,
)
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Graph
from toolchain.runs.recording import count_agreement

__all__ = ["NetworkTrial", "Outcome", "ScoredIntegers", "auto", "choose_outcome"]

BEST = 3
"""So many of a layer's best are tried in the whole network."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredIntegers:
    """Integers of a layer, and how it does with them alone.

    Attributes:
        integers: the integers.
        agreement: of its spike counts with the float layer's on the same input, 0..1.
        saturations: how often one of its membranes was clamped at the edge of its word.
    """

    integers: Integers
    agreement: float
    saturations: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What the search found.

    Attributes:
        layers: what each layer is loaded with, by the name of its neurons.
        common: the sinabs scales of each layer.
        agreement, common_agreement: of the output counts on all calibration spikes.
        fell_back: whether the sinabs scales were better and taken.
    """

    layers: Mapping[str, ScoredIntegers]
    common: Mapping[str, ScoredIntegers]
    agreement: float
    common_agreement: float
    fell_back: bool


def auto(graph: Graph, chip: SpeckChip, calibration: Array) -> Outcome:
    """The integers of every layer of ``graph`` on ``chip``.

    Args:
        graph: float network in the chip's layers, which the rules have passed.
        chip: what it is for.
        calibration: spikes (batch, time, channels, y, x); at least one step of one sample.
    """
    spikes = excerpt(graph, calibration)
    layers, trace = read_layers(graph), trace_layers(graph, spikes)
    whole = NetworkTrial(graph=graph, chip=chip, spikes=spikes, wanted=float_outputs(graph, trace))
    with steps("quantizing for " + chip.name, 2 * len(layers)) as done:
        tried, known = {}, {}
        for layer in layers:
            tried[layer.name], known[layer.name] = _best_candidates(layer, trace[layer.name], chip)
            done()
        best = _refine(whole, tried, done)
    if spikes.shape != calibration.shape:
        wanted = float_outputs(graph, trace_layers(graph, calibration))
        whole = NetworkTrial(graph=graph, chip=chip, spikes=calibration, wanted=wanted)
    return choose_outcome(whole, best, known)


def _best_candidates(
    layer: CoreLayer, trace: LayerTrace, chip: SpeckChip
) -> tuple[list[ScoredIntegers], ScoredIntegers]:
    """The best of a layer, the best first, and the sinabs scales."""
    words = SpeckWords.of(chip)
    m = moments(layer.conv, trace.inputs) if _few_taps(layer) else None

    def score(quantized: Integers) -> ScoredIntegers:
        agreement, saturations = respond(layer, quantized, trace, chip)
        return ScoredIntegers(integers=quantized, agreement=agreement, saturations=saturations)

    found = [score(quantized) for quantized in candidates(layer, words, trace.peak, m)]
    known = score(common(layer, chip))
    found.append(known)
    # of equals the one with fewer saturations, then the larger scale, which comes first
    found.sort(key=lambda one: (-one.agreement, one.saturations))
    return found[:BEST], known


def _few_taps(layer: CoreLayer) -> bool:
    return int(np.prod(layer.conv.weight.shape[1:])) <= MOST_TAPS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkTrial:
    """The whole network on some spikes, and what the float network makes of them."""

    graph: Graph
    chip: SpeckChip
    spikes: Array
    wanted: Array

    def agreement(self, chosen: Mapping[str, ScoredIntegers]) -> float:
        """Of the output counts."""
        graph = apply_integers(self.graph, {name: one.integers for name, one in chosen.items()})
        return count_agreement(self.wanted, quantized_outputs(graph, self.spikes, self.chip))


def _refine(
    network: NetworkTrial, tried: Mapping[str, list[ScoredIntegers]], done: Callable[[], None]
) -> dict[str, ScoredIntegers]:
    """Each layer's best, or one of the next with which the outputs agree better."""
    chosen = {name: each[0] for name, each in tried.items()}
    most = network.agreement(chosen)
    for name, each in tried.items():
        for other in each[1:]:
            found = network.agreement({**chosen, name: other})
            if found > most:
                chosen[name], most = other, found
        done()
    return chosen


def choose_outcome(
    network: NetworkTrial, best: dict[str, ScoredIntegers], known: dict[str, ScoredIntegers]
) -> Outcome:
    """What was found, unless the sinabs scales agree better."""
    found, common_agreement = network.agreement(best), network.agreement(known)
    worse = found < common_agreement
    return Outcome(
        layers=known if worse else best,
        common=known,
        agreement=common_agreement if worse else found,
        common_agreement=common_agreement,
        fell_back=worse,
    )

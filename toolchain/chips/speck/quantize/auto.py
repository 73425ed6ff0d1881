"""Quantization on calibration data: layer by layer first, then the whole network.

For each layer a bounded list of scales is tried (:mod:`.candidates`), and scored by the agreement
of its spike counts with the float layer's. Then, layer after layer, the next best are tried in the
whole network, whose outputs are compared. Finally the sinabs scales (:mod:`.common`) are used
instead if they agree better on all of the data. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.progress import steps
from toolchain.chips.speck.quantize.alone import respond
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
    trace_layers,
)
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Graph
from toolchain.runs.recording import count_agreement

__all__ = ["NetworkTrial", "Outcome", "ScoredIntegers", "auto", "choose_outcome"]

BEST = 3
"""Number of a layer's best candidates that are tried in the whole network."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredIntegers:
    """Integers of a layer and their score when the layer runs alone.

    Attributes:
        integers: the integers.
        agreement: agreement of its spike counts with the float layer's on the same input, 0..1.
        saturations: number of times that a membrane was clamped to its word.
        silent: True if the layer has no spikes, which tell no agreement.
    """

    integers: Integers
    agreement: float
    saturations: int
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """Result of the search.

    Attributes:
        layers: the chosen integers of each layer, by the name of its neurons.
        common: the integers at the sinabs scale of each layer.
        agreement, common_agreement: agreement of the output counts on all calibration spikes.
        fell_back: whether the sinabs scales were better and are used.
    """

    layers: Mapping[str, ScoredIntegers]
    common: Mapping[str, ScoredIntegers]
    agreement: float
    common_agreement: float
    fell_back: bool


def auto(graph: Graph, chip: SpeckChip, calibration: Array) -> Outcome:
    """Find the integers of every layer of ``graph`` on ``chip``.

    Args:
        graph: float network in the chip's layers that passes the rules.
        chip: the target chip.
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
    """Return the best integers of a layer, best first, and those of the sinabs scale."""
    words = SpeckWords.of(chip)
    m = moments(layer.conv, trace.inputs) if _few_taps(layer) else None

    tried = [*candidates(layer, words, trace.peak, m), common(layer, chip)]
    silent = not trace.spikes.any()
    found = [
        ScoredIntegers(
            integers=quantized,
            agreement=agreement,
            saturations=saturations,
            silent=silent and agreement == 1,
        )
        for quantized, (agreement, saturations) in zip(
            tried, respond(layer, tried, trace), strict=True
        )
    ]
    known = found[-1]
    # ties: fewer saturations, then the larger scale, which is earlier in the list
    found.sort(key=lambda one: (-one.agreement, one.saturations))
    return found[:BEST], known


def _few_taps(layer: CoreLayer) -> bool:
    return int(np.prod(layer.conv.weight.shape[1:])) <= MOST_TAPS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkTrial:
    """The whole network on some spikes, and the outputs of the float network on them."""

    graph: Graph
    chip: SpeckChip
    spikes: Array
    wanted: Array

    def agreement(self, chosen: Mapping[str, ScoredIntegers]) -> float:
        """Return the agreement of the output counts with these integers."""
        graph = apply_integers(self.graph, {name: one.integers for name, one in chosen.items()})
        return count_agreement(self.wanted, quantized_outputs(graph, self.spikes, self.chip))


def _refine(
    network: NetworkTrial, tried: Mapping[str, list[ScoredIntegers]], done: Callable[[], None]
) -> dict[str, ScoredIntegers]:
    """Choose for each layer its best integers, or a next one for which the outputs agree better."""
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
    """Return what was found, unless the sinabs scales agree better."""
    found, common_agreement = network.agreement(best), network.agreement(known)
    worse = found < common_agreement
    return Outcome(
        layers=known if worse else best,
        common=known,
        agreement=common_agreement if worse else found,
        common_agreement=common_agreement,
        fell_back=worse,
    )

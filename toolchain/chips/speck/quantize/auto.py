"""Quantization on calibration data: layer by layer first, then the whole network.

For each layer a bounded list of scales is tried (:mod:`.candidates`), and scored by the agreement
of its spike counts with the float layer's. Then, layer after layer, the next best are tried in the
whole network, whose outputs are compared. Finally the sinabs scales (:mod:`.common`) are used
instead if they agree better on all of the data. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from toolchain.arrays import Array
from toolchain.chips.progress import steps
from toolchain.chips.speck.quantize.alone import ScoredIntegers, respond
from toolchain.chips.speck.quantize.candidates import candidates
from toolchain.chips.speck.quantize.common import common
from toolchain.chips.speck.quantize.joint import MOST_TAPS, moments
from toolchain.chips.speck.quantize.layer import CoreLayer, SpeckWords, read_layers
from toolchain.chips.speck.quantize.measure import (
    LayerTrace,
    excerpt,
    float_outputs,
    narrowed,
    output_spikes,
    trace_layers,
)
from toolchain.chips.speck.quantize.refine import NetworkTrial, refine
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Graph

__all__ = ["Outcome", "auto", "choose_outcome"]

BEST = 3
"""Number of a layer's best candidates that are tried in the whole network."""


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
    calibration = narrowed(calibration)
    spikes = excerpt(graph, calibration)
    layers, trace = read_layers(graph), trace_layers(graph, spikes)
    part = NetworkTrial(graph=graph, chip=chip, spikes=spikes, wanted=float_outputs(graph, trace))
    with steps("quantizing for " + chip.name, 2 * len(layers)) as done:
        tried, known = {}, {}
        for layer in layers:
            tried[layer.name], known[layer.name] = _best_candidates(
                layer, trace.pop(layer.name), chip
            )
            done()
        best, found = refine(part, tried, done)
    if spikes.shape == calibration.shape:
        return choose_outcome(part, best, known, found=found)
    wanted = output_spikes(graph, calibration)
    whole = NetworkTrial(graph=graph, chip=chip, spikes=calibration, wanted=wanted)
    return choose_outcome(whole, best, known)


def _best_candidates(
    layer: CoreLayer, trace: LayerTrace, chip: SpeckChip
) -> tuple[list[ScoredIntegers], ScoredIntegers]:
    """Return the best integers of a layer, best first, and those of the sinabs scale."""
    few_taps = prod(layer.conv.weight.shape[1:]) <= MOST_TAPS
    m = moments(layer.conv, trace.inputs) if few_taps else None
    tried = candidates(layer, SpeckWords.of(chip), trace.peak, m)
    found = respond(layer, [*tried, common(layer, chip)], trace)
    known = found[-1]
    # ties: fewer saturations, then the larger scale, which is earlier in the list
    found.sort(key=lambda one: (-one.agreement, one.saturations))
    return found[:BEST], known


def choose_outcome(
    network: NetworkTrial,
    best: Mapping[str, ScoredIntegers],
    known: Mapping[str, ScoredIntegers],
    *,
    found: float | None = None,
) -> Outcome:
    """Return what was found, unless the sinabs scales agree better.

    Args:
        network: the network on all calibration spikes.
        best, known: the integers that were found, and those at the sinabs scales.
        found: the agreement with ``best`` if it is known.
    """
    found = network.agreement(best) if found is None else found
    common_agreement = network.agreement(known)
    worse = found < common_agreement
    return Outcome(
        layers=known if worse else best,
        common=known,
        agreement=common_agreement if worse else found,
        common_agreement=common_agreement,
        fell_back=worse,
    )

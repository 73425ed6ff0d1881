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
from toolchain.chips.speck.quantize.layer import Integers, Layer, Words, applied, read_layers
from toolchain.chips.speck.quantize.measure import (
    Heard,
    excerpt,
    hear,
    network_outputs,
    outputs_of,
    respond,
)
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Graph
from toolchain.runs.recording import count_agreement

__all__ = ["Judged", "Network", "Outcome", "auto", "better"]

BEST = 3
"""So many of a layer's best are tried in the whole network."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Integers of a layer, and how it does with them alone.

    Attributes:
        held: the integers.
        agreement: of its spike counts with the float layer's on the same input, 0..1.
        saturations: how often one of its membranes was clamped at the edge of its word.
    """

    held: Integers
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

    layers: Mapping[str, Judged]
    common: Mapping[str, Judged]
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
    layers, heard = read_layers(graph), hear(graph, spikes)
    whole = Network(graph=graph, chip=chip, spikes=spikes, wanted=outputs_of(graph, heard))
    with steps("quantizing for " + chip.name, 2 * len(layers)) as done:
        tried, known = {}, {}
        for layer in layers:
            tried[layer.name], known[layer.name] = _tried(layer, heard[layer.name], chip)
            done()
        best = _refined(whole, tried, done)
    if spikes.shape != calibration.shape:
        wanted = outputs_of(graph, hear(graph, calibration))
        whole = Network(graph=graph, chip=chip, spikes=calibration, wanted=wanted)
    return better(whole, best, known)


def _tried(layer: Layer, heard: Heard, chip: SpeckChip) -> tuple[list[Judged], Judged]:
    """The best of a layer, the best first, and the sinabs scales."""
    words = Words.of(chip)
    m = moments(layer.conv, heard.arriving) if _few_taps(layer) else None

    def judged(held: Integers) -> Judged:
        agreement, saturations = respond(layer, held, heard, chip)
        return Judged(held=held, agreement=agreement, saturations=saturations)

    found = [judged(held) for held in candidates(layer, words, heard.peak, m)]
    known = judged(common(layer, chip))
    found.append(known)
    # of equals the one with fewer saturations, then the larger scale, which comes first
    found.sort(key=lambda one: (-one.agreement, one.saturations))
    return found[:BEST], known


def _few_taps(layer: Layer) -> bool:
    return int(np.prod(layer.conv.weight.shape[1:])) <= MOST_TAPS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """The whole network on some spikes, and what the float network makes of them."""

    graph: Graph
    chip: SpeckChip
    spikes: Array
    wanted: Array

    def agreement(self, chosen: Mapping[str, Judged]) -> float:
        """Of the output counts."""
        graph = applied(self.graph, {name: one.held for name, one in chosen.items()})
        return count_agreement(self.wanted, network_outputs(graph, self.spikes, self.chip))


def _refined(
    network: Network, tried: Mapping[str, list[Judged]], done: Callable[[], None]
) -> dict[str, Judged]:
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


def better(network: Network, best: dict[str, Judged], known: dict[str, Judged]) -> Outcome:
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

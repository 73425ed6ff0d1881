"""The choice among integers that are set by the weights alone, judged on guessed spikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.quantize.candidates import from_weights_alone
from toolchain.chips.speck.quantize.common import common
from toolchain.chips.speck.quantize.layer import (
    CoreLayer,
    Integers,
    SpeckWords,
    apply_integers,
    read_layers,
)
from toolchain.chips.speck.quantize.measure import quantized_outputs
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.uncalibrated import GuessComparison, compare_on_guess, weights_vanish
from toolchain.ir import Graph, Neuron
from toolchain.runs.guessed_kinds import guessed_kinds
from toolchain.runs.interpret import interpret

__all__ = ["ChosenIntegers", "choose_on_guess", "compare_integers", "from_weights"]

SAMPLES, STEPS = 8, 48
"""Samples and timesteps of each kind of guessed spikes, on small networks."""
FEWEST_SAMPLES, FEWEST_STEPS = 2, 12
MOST = 2_000_000
"""Membranes times timesteps times samples of all kinds that are aimed at."""
KINDS = 4
COUNTS = 4
"""Largest guessed count a step and pixel; the chip takes single events, without a limit."""
PERCENTILES = (99.5, 98.0)
"""Percentiles of a layer's weight magnitudes at which outliers are clipped."""
OUTLIER = 2.0
"""The largest weight over a percentile from which on clipping is tried."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenIntegers:
    """Result of the choice.

    Attributes:
        layers: integers of each layer, by the name of its neurons.
        chosen: ``auto`` or ``common``.
        percentile: of the weight magnitudes beyond which ``auto`` clips; 100 for none.
        compared: ``auto`` and ``common`` on guessed spikes.
    """

    layers: Mapping[str, Integers]
    chosen: str
    percentile: float
    compared: GuessComparison


def choose_on_guess(graph: Graph, chip: SpeckChip) -> ChosenIntegers:
    """Return the integers that agree best with the float network on guessed spikes.

    Those of ``common``, those at the scale of least rounding error, and where a layer has weights
    far beyond all others the same with these clipped.
    """
    layers = read_layers(graph)
    known = {name: from_weights(layers, chip, name) for name in ("auto", "common")}
    clipped = {f"auto {p:g}": _clipped(layers, chip, p) for p in _percentiles(layers)}
    tried = {**known, **clipped}
    compared = compare_integers(graph, chip, tried)
    alive = [
        name for name in tried if not weights_vanish(graph, apply_integers(graph, tried[name]))
    ] or [*tried]
    chosen = compared.choose(
        [name for name in alive if name not in clipped], [name for name in alive if name in clipped]
    )
    mine = chosen if chosen != "common" else compared.best(["auto", *clipped])
    return ChosenIntegers(
        layers=tried[chosen],
        chosen="common" if chosen == "common" else "auto",
        percentile=float(chosen.split()[1]) if chosen in clipped else 100.0,
        compared=compared.renamed({mine: "auto", "common": "common"}),
    )


def from_weights(
    layers: tuple[CoreLayer, ...], chip: SpeckChip, method: str
) -> dict[str, Integers]:
    """Return integers that are set by the weights alone, by the name of each layer's neurons.

    Args:
        layers: the layers.
        chip: the target.
        method: ``auto`` for the scales of least rounding error, or ``common``.
    """
    if method == "common":
        return {layer.name: common(layer, chip) for layer in layers}
    words = SpeckWords.of(chip)
    return {layer.name: from_weights_alone(layer, words) for layer in layers}


def compare_integers(
    graph: Graph, chip: SpeckChip, tried: Mapping[str, Mapping[str, Integers]]
) -> GuessComparison:
    """Compare integers with the float network on guessed spikes."""
    return compare_on_guess(
        _kinds(graph),
        [partial(_float_outputs, graph)],
        {
            name: partial(_chip_outputs, apply_integers(graph, integers), chip)
            for name, integers in tried.items()
        },
    )


def _float_outputs(graph: Graph, spikes: Array) -> Array:
    # one by one to save memory: the windows of a convolution are copies of its input
    return np.concatenate([interpret(graph, sample[None]).spikes for sample in spikes])


def _chip_outputs(graph: Graph, chip: SpeckChip, spikes: Array) -> Array:
    return quantized_outputs(graph, spikes, chip)


def _kinds(graph: Graph) -> Mapping[str, Array]:
    """Return guessed spikes, fewer of them for large networks."""
    neurons = sum(int(np.prod(node.shape)) for node in graph.of(Neuron).values())
    room = MOST // (KINDS * max(1, neurons))
    samples = min(SAMPLES, max(FEWEST_SAMPLES, room // STEPS))
    steps = min(STEPS, max(FEWEST_STEPS, room // samples))
    shape = graph.shape(graph.input)
    return guessed_kinds(shape, most=COUNTS, samples=samples, steps=steps, seed=1)


def _percentiles(layers: tuple[CoreLayer, ...]) -> Iterator[float]:
    """Yield the percentiles that the largest weight of some layer exceeds by far."""
    for percentile in PERCENTILES:
        if any(_outliers_beyond(layer, percentile) for layer in layers):
            yield percentile


def _outliers_beyond(layer: CoreLayer, percentile: float) -> float | None:
    """Return the magnitude at ``percentile`` of the weights if the largest exceeds it by far."""
    magnitudes = np.abs(layer.conv.weight)
    value = float(np.percentile(magnitudes, percentile, method="lower"))
    return value if 0 < OUTLIER * value < magnitudes.max() else None


def _clipped(
    layers: tuple[CoreLayer, ...], chip: SpeckChip, percentile: float
) -> dict[str, Integers]:
    """Return integers at the scales of weights whose outliers are clipped at ``percentile``."""
    found = []
    for layer in layers:
        most = _outliers_beyond(layer, percentile)
        if most is not None:
            weight = np.clip(layer.conv.weight, -most, most)
            layer = replace(layer, conv=replace(layer.conv, weight=weight))
        found.append(layer)
    return from_weights(tuple(found), chip, "auto")

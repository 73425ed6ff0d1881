"""The choice among integers that are set by the weights alone, judged on guessed spikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
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
)
from toolchain.chips.speck.quantize.measure import quantized_outputs
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.uncalibrated import GuessChoice, GuessComparison, compare_on_guess
from toolchain.ir import Graph
from toolchain.runs.bounded import neurons_of, window_values_of
from toolchain.runs.guessed_kinds import guessed_kinds

__all__ = [
    "choose_on_guess",
    "clipped_at",
    "compare_integers",
    "from_weights",
    "integers_to_try",
]

SAMPLES, STEPS = 8, 48
"""Samples and timesteps of each kind of guessed spikes, on small networks."""
FEWEST_SAMPLES, FEWEST_STEPS = 2, 12
MOST = 2_000_000
"""Work on each candidate that is aimed at: membranes times timesteps times samples of all kinds."""
WINDOW_VALUES = 16
"""Values in windows of convolutions that cost as much as one membrane."""
KINDS = 4
COUNTS = 4
"""Largest guessed count a step and pixel; the chip takes single events, without a limit."""
PERCENTILES = (99.5, 98.0)
"""Percentiles of a layer's weight magnitudes at which outliers are clipped."""
OUTLIER = 2.0
"""The largest weight over a percentile from which on clipping is tried."""


def integers_to_try(
    layers: tuple[CoreLayer, ...], chip: SpeckChip, method: str
) -> dict[str, dict[str, Integers]]:
    """Return the integers among which is chosen, of each layer, by the name of the candidate.

    For ``auto`` those of ``common``, those at the scale of least rounding error, and where a layer
    has weights far beyond all others the same with these clipped, as ``auto`` and the percentile.
    """
    if method == "common":
        return {method: from_weights(layers, chip, method)}
    known = {name: from_weights(layers, chip, name) for name in (method, "common")}
    clipped = {f"{method} {p:g}": _clipped(layers, chip, p) for p in _percentiles(layers)}
    return {**known, **clipped}


def choose_on_guess(
    graph: Graph, chip: SpeckChip, tried: Mapping[str, Mapping[str, Integers]]
) -> GuessChoice:
    """Return the integers that agree best with the float network on guessed spikes."""
    return GuessChoice.among(
        {name: apply_integers(graph, integers) for name, integers in tried.items()},
        compare_integers(graph, chip, tried),
        floats=graph,
        own=[name for name in tried if name != "common"],
        fitted=[name for name in tried if clipped_at(name) < 100],
    )


def clipped_at(candidate: str) -> float:
    """Return the percentile of the weight magnitudes at which a candidate clips; 100 for none."""
    _, _, percentile = candidate.partition(" ")
    return float(percentile or 100)


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
    applied = {name: apply_integers(graph, integers) for name, integers in tried.items()}
    return compare_on_guess(_kinds(graph), [graph], applied, partial(quantized_outputs, chip=chip))


def _kinds(graph: Graph) -> Mapping[str, Array]:
    """Return guessed spikes, fewer of them for large networks."""
    work = neurons_of(graph) + window_values_of(graph) // WINDOW_VALUES
    room = MOST // (KINDS * max(1, work))
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

"""The scales that are tried for a layer.

One factor multiplies all numbers of a core. The larger it is, the finer weights are rounded, until
a word is full. A factor that makes the threshold an integer keeps the ratio of weights and
threshold, which matters more than the last bit of the weights. Where one factor makes all numbers
integers, as in networks trained with quantized weights, the chip computes what was trained, and no
other is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.quantize.joint import round_jointly
from toolchain.chips.speck.quantize.layer import CoreLayer, Integers, SpeckWords, integers
from toolchain.chips.words import HEADROOM

__all__ = ["candidates", "ceilings", "exact_scale", "from_weights_alone"]

PERCENTILES = (100.0, 99.9, 99.5, 99.0, 98.0)
"""Percentiles of a layer's weight magnitudes that are tried as the end of the word."""
LEAST, SCALES = 0.85, 8
"""Number of scales tried below each ceiling, and the smallest as a part of it."""
PRECISION = 1e-6
"""Relative distance to an integer at which a number is one: some roundings of float32."""


def ceilings(layer: CoreLayer, words: SpeckWords, peak: float = 0.0) -> dict[str, float]:
    """Return the largest scale of each word; ``peak`` is the membrane's largest magnitude.

    The floor is not included: one beyond its word is clipped to it.
    """
    bias = 0.0 if layer.conv.bias is None else _largest_magnitude(layer.conv.bias)
    limits_and_values = {
        # words.weight + 0.49 still rounds to words.weight
        "weights": (words.weight + 0.49, _largest_magnitude(layer.conv.weight)),
        "bias": (words.bias, bias),
        "threshold": (words.threshold, layer.threshold),
        "state": (words.state, max(_largest_magnitude(layer.neuron.v_init), HEADROOM * peak)),
    }
    return {word: room / value for word, (room, value) in limits_and_values.items() if value > 0}


def _largest_magnitude(values: Array) -> float:
    return float(np.abs(values).max(initial=0))


def exact_scale(layer: CoreLayer, words: SpeckWords, top: float) -> float | None:
    """Return the largest scale up to ``top`` at which all numbers of a layer are integers, if any.

    Args:
        layer: the layer.
        words: words of the chip.
        top: largest scale at which no word overflows.
    """
    weights = np.unique(np.abs(layer.conv.weight))
    if len(weights) > words.weight + 1:
        return None
    neuron = layer.neuron
    floor = np.zeros(0) if neuron.v_min is None else np.abs(neuron.v_min).ravel()
    others = (neuron.v_threshold, neuron.reset_amount, neuron.bias, neuron.v_init, neuron.v_leak)
    given = [np.unique(np.abs(n)) for n in (*others, layer.conv.bias) if n is not None]
    given.append(floor[floor * top <= words.state])  # one beyond the word limits nothing
    numbers = np.unique(np.concatenate([weights, *given]))
    numbers = numbers[numbers > 0]
    # the smallest number becomes an integer: with the largest scale first
    for least in range(int(top * numbers[0]), 0, -1):
        scaled = numbers * (least / numbers[0])
        if (np.abs(scaled - np.rint(scaled)) <= PRECISION * np.maximum(scaled, 1)).all():
            return float(least / numbers[0]) if scaled[-1] <= words.state else None
    return None


def from_weights_alone(layer: CoreLayer, words: SpeckWords) -> Integers:
    """Choose the scale that changes weights and threshold least, with no word overflowing.

    One at which all numbers are integers is taken first.
    The error is the sum of the squared relative errors of the threshold and of all weights.
    """
    limits = ceilings(layer, words)
    limited_by = min(limits, key=lambda word: limits[word])
    exact = exact_scale(layer, words, limits[limited_by])
    if exact is not None:
        return integers(layer, exact, words, limited_by=limited_by)
    tries = [
        integers(layer, scale, words, limited_by=limited_by)
        for scale in _scales_below(limits[limited_by], layer)
    ]
    return min(tries, key=lambda quantized: _rounding_error(layer, quantized))


def _rounding_error(layer: CoreLayer, quantized: Integers) -> float:
    weight, scale = layer.conv.weight, quantized.scale
    total = float((weight**2).sum())
    moved = float(((quantized.weight / scale - weight) ** 2).sum()) / total if total else 0.0
    threshold = float(quantized.threshold.max()) / (scale * layer.threshold) - 1
    return moved + threshold**2


def candidates(
    layer: CoreLayer, words: SpeckWords, peak: float, moments: Array | None
) -> Iterator[Integers]:
    """Yield all integers that are tried for a layer, the largest scales first; exact ones alone.

    With ``moments`` weights are rounded jointly, else separately. Below the first ceiling no word
    overflows; below the others large weights are clipped, or rare states saturate.
    """
    limits = ceilings(layer, words, peak)
    limited_by = min(limits, key=lambda word: limits[word])
    exact = exact_scale(layer, words, limits[limited_by])
    if exact is not None:
        yield integers(layer, exact, words, limited_by=limited_by)
        return
    tops = {limits[limited_by]: limited_by}
    magnitudes = np.abs(layer.conv.weight)
    for percentile in PERCENTILES:
        value = float(np.percentile(magnitudes, percentile))
        if value > 0:
            top = (words.weight + 0.49) / value
            word = "weights" if top <= limits["threshold"] else "threshold"
            tops.setdefault(min(top, limits["threshold"]), word)
    tried: dict[float, str] = {}
    for top, word in tops.items():
        for scale in _scales_below(top, layer):
            tried.setdefault(scale, word)
    for scale in sorted(tried, reverse=True):
        quantized = integers(layer, scale, words, limited_by=tried[scale])
        yield quantized if moments is None else _round_together(layer, quantized, words, moments)


def _scales_below(top: float, layer: CoreLayer) -> list[float]:
    """Return scales from a part of ``top`` up to it; all but ``top`` give an integer threshold."""
    parts = np.linspace(LEAST, 1, SCALES)
    thresholds = {int(part * top * layer.threshold) for part in parts}
    return [top, *(t / layer.threshold for t in sorted(thresholds, reverse=True) if t)]


def _round_together(
    layer: CoreLayer, quantized: Integers, words: SpeckWords, moments: Array
) -> Integers:
    weight, bias = round_jointly(
        layer.conv, quantized.scale, moments, weight=words.weight, bias=words.bias
    )
    return replace(quantized, weight=weight, bias=bias)

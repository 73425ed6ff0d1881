"""The scales that are tried for a layer.

One factor multiplies everything a core holds. The larger it is, the finer weights are rounded,
until a word is full. A factor by which the threshold becomes a whole number leaves the ratio of
weights and threshold as it was, which is worth more than the last bit of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.quantize.joint import round_jointly
from toolchain.chips.speck.quantize.layer import Integers, Layer, Words, integers
from toolchain.chips.words import HEADROOM

__all__ = ["candidates", "ceilings", "from_weights_alone"]

PERCENTILES = (100.0, 99.9, 99.5, 99.0, 98.0)
"""Of the magnitudes of a layer's weights: those that are tried as the one that fills the word."""
LEAST, SCALES = 0.85, 8
"""Under each ceiling so many scales are tried, from this part of it upwards."""


def ceilings(layer: Layer, words: Words, peak: float = 0.0) -> dict[str, float]:
    """For each word, the largest scale it allows; ``peak`` is the membrane's largest magnitude.

    The floor is not among them: one that leaves its word is the word's own end.
    """
    bias = 0.0 if layer.conv.bias is None else _largest(layer.conv.bias)
    rooms = {
        "weights": (words.weight + 0.49, _largest(layer.conv.weight)),  # still rounds to the end
        "bias": (words.bias, bias),
        "threshold": (words.threshold, layer.threshold),
        "state": (words.state, max(_largest(layer.neuron.v_init), HEADROOM * peak)),
    }
    return {word: room / value for word, (room, value) in rooms.items() if value > 0}


def _largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0))


def from_weights_alone(layer: Layer, words: Words) -> Integers:
    """The scale that moves weights and threshold least, no word overflowing.

    The squared relative errors of the threshold and of all weights together are added up.
    """
    limits = ceilings(layer, words)
    limited_by = min(limits, key=lambda word: limits[word])
    tries = [
        integers(layer, scale, words, limited_by=limited_by)
        for scale in _below(limits[limited_by], layer)
    ]
    return min(tries, key=lambda held: _moved(layer, held))


def _moved(layer: Layer, held: Integers) -> float:
    weight, scale = layer.conv.weight, held.scale
    total = float((weight**2).sum())
    moved = float(((held.weight / scale - weight) ** 2).sum()) / total if total else 0.0
    threshold = float(held.threshold.max()) / (scale * layer.threshold) - 1
    return moved + threshold**2


def candidates(
    layer: Layer, words: Words, peak: float, moments: Array | None
) -> Iterator[Integers]:
    """Everything that is tried for a layer, the largest scales first.

    With ``moments`` weights are rounded jointly, else each by itself. Under the first ceiling no
    word overflows; under the others large weights are cut, or rare states saturate.
    """
    limits = ceilings(layer, words, peak)
    limited_by = min(limits, key=lambda word: limits[word])
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
        for scale in _below(top, layer):
            tried.setdefault(scale, word)
    for scale in sorted(tried, reverse=True):
        held = integers(layer, scale, words, limited_by=tried[scale])
        yield held if moments is None else _jointly(layer, held, words, moments)


def _below(top: float, layer: Layer) -> list[float]:
    """Scales from a part of ``top`` up to it; all but ``top`` make the threshold whole."""
    parts = np.linspace(LEAST, 1, SCALES)
    thresholds = {int(part * top * layer.threshold) for part in parts}
    return [top, *(t / layer.threshold for t in sorted(thresholds, reverse=True) if t)]


def _jointly(layer: Layer, held: Integers, words: Words, moments: Array) -> Integers:
    weight, bias = round_jointly(
        layer.conv, held.scale, moments, weight=words.weight, bias=words.bias
    )
    return replace(held, weight=weight, bias=bias)

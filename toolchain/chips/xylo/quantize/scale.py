"""The scale of each neuron, as large as every word allows, and the integers at it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.words import HEADROOM
from toolchain.chips.xylo.quantize.decays import ChipDecays
from toolchain.chips.xylo.quantize.plan import PopulationIntegers, XyloWords
from toolchain.chips.xylo.quantize.populations import FloatPopulation, WeightMatrix

__all__ = ["scale_for_states", "to_integers"]

RISE = 1.5
"""Thresholds that every membrane must be able to reach, even if it did not on the data."""


def to_integers(
    population: FloatPopulation,
    decays: ChipDecays,
    shifts: Mapping[WeightMatrix, int],
    words: XyloWords,
    *,
    depth: float = np.inf,
) -> PopulationIntegers:
    """Return the integers of a population at the largest scale that its words allow.

    Args:
        population: the population.
        decays: its decays.
        shifts: of each matrix.
        words: of the chip.
        depth: thresholds beyond which a state may saturate, so that the other states are finer.
    """
    scales = _largest_scales(population, decays, shifts, words, depth)
    stack = np.stack(list(scales.values()))
    scale = stack.min(axis=0)
    first = np.bincount(stack.argmin(axis=0), minlength=len(scales))
    nominal = decays.threshold * scale
    return PopulationIntegers(
        dash_mem=decays.dash_mem,
        dash_syn=decays.dash_syn,
        scale=scale,
        limited_by=list(scales)[int(first.argmax())],
        depth=depth,
        weights=_nearest(population, decays.rows * scale[:, None], shifts, words),
        steps={
            s.name: population.grid(s.name, shifts, words.weight)[0] for s in population.sources
        },
        nominal=nominal,
        threshold=np.maximum(1, np.rint(nominal)).astype(np.int64),
        bias=np.rint(decays.bias * scale).clip(-words.bias, words.bias).astype(np.int64),
    )


def scale_for_states(decays: ChipDecays, words: XyloWords, depth: float = np.inf) -> Array:
    """Return the largest scale (neurons,) at which no state up to ``depth`` saturates."""
    least = np.maximum(HEADROOM * decays.peaks, RISE * decays.threshold)
    return np.asarray(words.state / np.minimum(least, depth * decays.threshold))


def _largest_scales(
    population: FloatPopulation,
    decays: ChipDecays,
    shifts: Mapping[WeightMatrix, int],
    words: XyloWords,
    depth: float,
) -> dict[str, Array]:
    """Return the largest scale (neurons,) that each word allows; inf where it allows any."""
    scales: dict[str, Array] = {}
    with np.errstate(divide="ignore"):
        for matrix in population.matrices:
            largest = (population.largest(matrix) * decays.rows).max(axis=1)
            scales[f"weights {matrix}"] = words.weight * 2.0 ** shifts[matrix] / largest
        scales["states"] = scale_for_states(decays, words, depth)
        scales["threshold"] = words.threshold / decays.threshold
        if words.bias:
            scales["bias"] = words.bias / np.abs(decays.bias)
    return scales


def _nearest(
    population: FloatPopulation, factor: Array, shifts: Mapping[WeightMatrix, int], words: XyloWords
) -> dict[str, Array]:
    """Return each weight times ``factor`` (neurons, synapses), at the nearest possible integer."""
    found = {}
    for source in population.sources:
        step, top = population.grid(source.name, shifts, words.weight)
        levels = np.rint(source.weight * (factor / step)[:, :, None])
        found[source.name] = np.clip(levels, -top, top).astype(np.int64) * step
    return found

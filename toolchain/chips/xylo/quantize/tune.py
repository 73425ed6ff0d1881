"""Threshold tuning: small changes that restore each neuron's firing rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.quantize import measure
from toolchain.chips.xylo.quantize.measure import PopulationTrace
from toolchain.chips.xylo.quantize.plan import PopulationIntegers, XyloWords
from toolchain.chips.xylo.quantize.populations import FloatPopulation

__all__ = ["tune_thresholds"]

TRIES = 21
DOUBT = 0.06
"""Least gain, as a fraction of its spikes, for a neuron to move far from the others."""


def tune_thresholds(
    population: FloatPopulation,
    trace: PopulationTrace,
    choice: PopulationIntegers,
    words: XyloWords,
    *,
    reach: float,
) -> PopulationIntegers:
    """Change thresholds by up to ``reach`` of themselves, towards the wanted spikes.

    A threshold has 16 bit and compensates what rounding and the chip's integer decays do to a
    neuron's rate. Neurons move together unless their own spikes are clear evidence: these are few,
    and unseen data has others.
    """
    factors = np.linspace(1 - reach, 1 + reach, TRIES)
    tried = np.rint(choice.threshold[:, None] * factors).clip(1, words.threshold)
    found = measure.respond(
        population,
        trace,
        measure.drive(population, trace, choice.weights),
        (choice.dash_mem, choice.dash_syn),
        tried,
        choice.bias[:, None],
        words.state,
    )
    distance = _smooth(found.distance)
    common = int(distance.sum(axis=0).argmin())
    spikes = trace.wanted.sum(axis=(1, 2))
    far = np.abs(np.arange(TRIES) - common) / TRIES
    best = (distance + (1 + DOUBT * spikes)[:, None] * far).argmin(axis=1)
    threshold = np.take_along_axis(tried, best[:, None], axis=1)[:, 0].astype(np.int64)
    return replace(choice, threshold=threshold)


def _smooth(distance: Array) -> Array:
    """Average each distance with those of the two neighboring thresholds, to reduce chance."""
    padded = np.pad(distance, ((0, 0), (1, 1)), mode="edge")
    return np.asarray((padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4)

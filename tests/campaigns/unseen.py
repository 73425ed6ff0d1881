"""Spikes of four kinds on which integers are judged that were chosen without any.

Nothing here is shared with the spikes that the quantizers assume: sparse spikes come from gamma
renewal processes, bursts from clusters of channels and steps, busy input from negative binomial
counts of correlated channels, and recordings are scans of handwritten digits and, where its file
is at hand, a recording of an event camera.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from examples.digits import columns_over_time, digits, rate_coded
from tests.oracles import nmnist
from toolchain.arrays import Array

STEPS = 100
EACH = 128
"""Samples of each kind."""
MOST = 15
"""Spikes a channel and step of the busiest input: the limit of Xylo's."""


def sparse(rng: np.random.Generator, channels: int) -> Array:
    """Intervals of a gamma distribution; each channel of each sample has 0.3 to 8 % a step."""
    rate = np.exp(rng.uniform(np.log(0.003), np.log(0.08), (EACH, channels, 1)))
    regular = rng.uniform(0.6, 4, (EACH, 1, 1))
    intervals = rng.gamma(regular, 1 / (regular * rate), (EACH, channels, 24))
    times = np.cumsum(intervals, axis=2) - rng.uniform(0, 1, (EACH, channels, 1)) / rate
    return _at(times, channels)


def bursts(rng: np.random.Generator, channels: int) -> Array:
    """Silence, and a few times a sample a burst of some channels, up to 8 spikes a step."""
    counts = np.zeros((EACH, STEPS, channels), np.int64)
    for sample in counts:
        for _ in range(rng.poisson(2.5)):
            length, start = rng.integers(2, 12), rng.integers(0, STEPS - 12)
            members = rng.random(channels) < rng.uniform(0.1, 1)
            envelope = np.hanning(length + 2)[1:-1, None] * rng.gamma(2, 1.2)
            sample[start : start + length] += rng.poisson(envelope * members)
    return np.minimum(counts, 8)


def busy(rng: np.random.Generator, channels: int) -> Array:
    """Counts of a mean of 0.4 to 5 a step, spread as widely as their mean, up to ``MOST``."""
    level = np.exp(rng.uniform(np.log(0.4), np.log(5), (EACH, 1, 1)))
    slow = np.exp(0.5 * np.cumsum(rng.normal(0, 0.2, (EACH, STEPS, 1)), axis=1))
    mean = level * slow * rng.lognormal(0, 0.4, (EACH, 1, channels))
    return np.minimum(rng.poisson(rng.gamma(1.5, mean / 1.5)), MOST)


def recordings(rng: np.random.Generator, channels: int) -> Array:
    """Digits, column after column, and windows of an event camera's recording if at hand."""
    scans = columns_over_time(digits().test[:EACH])
    rows = np.linspace(0, scans.shape[2] - 1, channels).round().astype(int)
    scans = scans[:, :, rows]
    counts = np.pad(scans, ((0, 0), (0, max(0, STEPS - scans.shape[1])), (0, 0)))[:, :STEPS]
    if not nmnist.MISSING:
        camera = _camera().sum(axis=(1, 2))  # (steps, columns)
        edges = np.linspace(0, camera.shape[1], channels + 1).astype(int)
        pooled = np.add.reduceat(camera, edges[:-1], axis=1)
        for sample in range(EACH * 3 // 4, EACH):
            start = int(rng.integers(0, len(pooled) - STEPS))
            counts[sample] = rng.binomial(pooled[start : start + STEPS], rng.uniform(0.1, 1))
    return np.minimum(counts, MOST)


KINDS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "sparse": sparse,
    "bursts": bursts,
    "busy": busy,
    "recordings": recordings,
}


def maps(rng: np.random.Generator, kind: str, shape: tuple[int, int, int], samples: int) -> Array:
    """Return the spikes of a kind as maps (samples, time, channels, y, x).

    Each row of a map is a channel, and moves over the map with time; recordings are whole maps.
    """
    channels, height, width = shape
    if kind == "recordings":
        return _map_recordings(rng, shape, samples)
    rows = KINDS[kind](rng, channels * height)[:samples].reshape(samples, STEPS, channels, height)
    column = (rng.integers(0, width, (samples, 1, 1, 1)) + np.arange(STEPS)[:, None, None]) % width
    there = column[..., None] == np.arange(width)
    return np.asarray(rows[..., None] * there)


def _map_recordings(rng: np.random.Generator, shape: tuple[int, int, int], samples: int) -> Array:
    channels, height, width = shape
    images = rate_coded(digits().test[:samples])  # (samples, 16, 1, 8, 8)
    images = images.repeat(-(-height // 8), axis=3).repeat(-(-width // 8), axis=4)
    counts = np.zeros((samples, STEPS, *shape), np.int64)
    counts[:, : images.shape[1]] = images[..., :height, :width]
    if not nmnist.MISSING:
        camera = _camera()
        for sample in range(samples // 2, samples):
            start = int(rng.integers(0, len(camera) - STEPS))
            y, x = rng.integers(0, 34 - height + 1), rng.integers(0, 34 - width + 1)
            window = camera[start : start + STEPS, :, y : y + height, x : x + width]
            counts[sample] = window[:, np.arange(channels) % 2]
    return counts


@cache
def _camera() -> Array:
    """Counts (steps, polarities, y, x)."""
    return nmnist.recording()[0]


def _at(times: Array, channels: int) -> Array:
    """Return counts (samples, time, channels) of spike times (samples, channels, spikes)."""
    counts = np.zeros((len(times), STEPS, channels), np.int64)
    sample, channel, spike = np.nonzero((times >= 0) & (times < STEPS))
    step = times[sample, channel, spike].astype(int)
    np.add.at(counts, (sample, step, channel), 1)
    return counts

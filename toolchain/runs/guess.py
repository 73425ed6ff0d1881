"""Input spikes that are assumed where the user gives none."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph

__all__ = ["guessed_spikes"]

RATES = (0.05, 0.2, 0.6)
"""Probabilities of a spike, a timestep and channel: a sample each."""
BUSY, MOST = 1.0, 3
"""Mean count of one more sample, and its largest count; chips with a narrow input take it too."""
STEPS = (20, 100)
"""Fewest and most timesteps."""
WORK = 1_000_000
"""Neurons and channels times timesteps of all samples that are aimed at: a fraction of a second."""


def guessed_spikes(graph: Graph) -> Array:
    """Return random counts (4, time, *input shape) from sparse to busy; the seed is fixed.

    Large networks get fewer timesteps, but at least 20.

    >>> from toolchain.ir import Input, Output
    >>> graph = Graph.chain({"input": Input(shape=(3,)), "output": Output()})
    >>> spikes = guessed_spikes(graph)
    >>> spikes.shape, int(spikes.max()), spikes.mean(axis=(1, 2)).round(2).tolist()
    ((4, 100, 3), 3, [0.04, 0.19, 0.6, 0.94])
    """
    units = sum(int(np.prod(graph.shape(name))) for name in graph.nodes)
    fewest, most = STEPS
    steps = max(fewest, min(most, WORK // max(1, units * (len(RATES) + 1))))
    rng = np.random.default_rng(0)
    shape = (steps, *graph.shape(graph.input))
    samples = [rng.random(shape) < rate for rate in RATES]
    return np.stack([*samples, np.minimum(rng.poisson(BUSY, shape), MOST)]).astype(np.int64)

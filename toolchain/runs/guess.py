"""A small set of guessed input spikes, for networks of any size and any chip."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph
from toolchain.runs.bounded import values_of
from toolchain.runs.guessed_kinds import guessed_kinds

__all__ = ["guessed_spikes"]

MOST = 3
"""Largest count, which chips with a narrow input take too."""
SAMPLES = 2
"""Samples of each kind: a sparse and a dense one."""
STEPS = (20, 100)
"""Fewest and most timesteps."""
WORK = 1_000_000
"""Neurons and channels times timesteps of all samples that are aimed at: a fraction of a second."""


def guessed_spikes(graph: Graph) -> Array:
    """Return two samples of each kind of ``guessed_kinds``, (batch, time, *input shape).

    Large networks get fewer timesteps, but at least 20.

    >>> from toolchain.ir import Input, Output
    >>> graph = Graph.chain({"input": Input(shape=(3,)), "output": Output()})
    >>> guessed_spikes(graph).shape
    (8, 100, 3)
    """
    fewest, most = STEPS
    steps = max(fewest, min(most, WORK // max(1, values_of(graph) * 4 * SAMPLES)))
    shape = graph.shape(graph.input)
    kinds = guessed_kinds(shape, most=MOST, samples=SAMPLES, steps=steps, seed=0)
    return np.concatenate([*kinds.values()])

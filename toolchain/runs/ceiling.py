"""Agreement that rounding of the weights alone leaves: the float network compared with itself.

Noise of the size of rounding is added to the weights, so that the loss is that of the network's own
sensitivity, without anything else that a chip or a quantizer does. Integers that were searched can
exceed it, since a search chooses its rounding and noise does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal, TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Conv1d, Conv2d, Graph, Linear
from toolchain.report import Brief, share
from toolchain.runs.agreement import LEAST_AGREEMENT
from toolchain.runs.bounded import part_within, values_of
from toolchain.runs.interpret import interpret
from toolchain.runs.tally import sum_over_time

__all__ = [
    "MOST_SAMPLES",
    "MOST_WORK",
    "Ceiling",
    "ScaleOf",
    "WeightRounding",
    "ceiling_of",
    "with_noise",
]

ScaleOf: TypeAlias = Literal["neuron", "layer"]
"""Weights with a common scale of their integers: those of a neuron, or those of a layer."""

SEEDS = 2
"""Number of times that noise is drawn."""
SPLITS = 2
"""Parts of the samples that the range is taken over, with every seed."""
MOST_SAMPLES = 64
MOST_WORK = 2_000_000
"""Values of the network times timesteps times samples of one run, at most: some 50 ms."""
FEWEST_SPIKES = 20
"""Fewest spikes of a part that tell an agreement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRounding:
    """Rounding of the weights of a chip.

    Attributes:
        levels: largest magnitude of a weight.
        scale_of: what shares one scale.

    >>> round(WeightRounding(levels=127).noise, 5)  # 8 bit
    0.00227
    """

    levels: int
    scale_of: ScaleOf = "neuron"

    @property
    def noise(self) -> float:
        """Standard deviation of the rounding error, as a part of the largest weight.

        That of a uniform error of half a level up or down.
        """
        return 1 / (self.levels * sqrt(12))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ceiling(Brief):
    """Agreement of the float network with itself under noise of the size of rounding.

    Attributes:
        value: agreement of the output counts, 0..1, over all samples and seeds.
        lowest, highest: over the seeds and parts of the samples.
        levels: largest weight of the chip, which gives the size of the noise.
        samples: number of samples.

    >>> found = Ceiling(value=0.954, lowest=0.946, highest=0.96, levels=127, samples=64)
    >>> print(found)
    95.4 % (94.6 to 96.0)
    """

    value: float
    lowest: float
    highest: float
    levels: int
    samples: int

    def __str__(self) -> str:
        """Return the share with its range."""
        low, high = (f"{100 * end:.1f}" for end in (self.lowest, self.highest))
        return f"{share(self.value)} ({low} to {high})"

    @property
    def text(self) -> str:
        """Text beside an agreement that the ceiling bounds.

        >>> Ceiling(value=0.8, lowest=0.79, highest=0.82, levels=127, samples=64).text
        'of 80.0 % (79.0 to 82.0) reachable: the network itself is this sensitive to rounding'
        """
        sensitive = self.value < LEAST_AGREEMENT
        note = ": the network itself is this sensitive to rounding" if sensitive else ""
        return f"of {self} reachable{note}"


def ceiling_of(graph: Graph, spikes: Array, rounding: WeightRounding) -> Ceiling | None:
    """Return the agreement of ``graph`` with itself; None if too few output spikes tell it.

    Args:
        graph: the float network, whose outputs are spikes.
        spikes: (batch, time, *input shape); of many, evenly spaced samples are used.
        rounding: of the chip's weights.

    >>> from toolchain.ir import Input, Neuron, Output
    >>> lif = Neuron(shape=(3,), v_threshold=1.0, alpha_mem=0.9)
    >>> fc = Linear(weight=np.random.default_rng(0).normal(size=(3, 8)))
    >>> nodes = {"input": Input(shape=(8,)), "fc": fc, "lif": lif, "output": Output()}
    >>> spikes = np.random.default_rng(1).poisson(0.2, (20, 100, 8))
    >>> print(ceiling_of(Graph.chain(nodes), spikes, WeightRounding(levels=7)))
    96.0 % (94.4 to 97.6)
    """
    part = part_within(spikes[:MOST_SAMPLES], values_of(graph), MOST_WORK)
    wanted = _counts(graph, part)
    runs = [_counts(with_noise(graph, rounding, seed), part) for seed in range(SEEDS)]
    splits = [slice(n, None, SPLITS) for n in range(min(SPLITS, len(part)))]
    parts = [_agreement(wanted[some], run[some]) for run in runs for some in splits]
    whole = [_agreement(wanted, run) for run in runs]
    if None in whole:
        return None
    value = float(np.mean([each for each in whole if each is not None]))
    found = [each for each in (*whole, *parts) if each is not None]
    return Ceiling(
        value=value,
        lowest=min(found),
        highest=max(found),
        levels=rounding.levels,
        samples=len(part),
    )


def with_noise(graph: Graph, rounding: WeightRounding, seed: int) -> Graph:
    """Return ``graph`` with noise of the size of rounding on all weights that are not 0."""
    rng = np.random.default_rng(seed)

    def noisy(_: str, node: Linear | Conv1d | Conv2d) -> Linear | Conv1d | Conv2d:
        size = np.abs(node.weight)
        if rounding.scale_of == "neuron":
            size = size.reshape(len(size), -1).max(axis=1, initial=0)
            size = size.reshape(-1, *(1,) * (node.weight.ndim - 1))
        else:
            size = size.max(initial=0)
        noise = rng.normal(size=node.weight.shape) * rounding.noise * size
        return replace(node, weight=node.weight + noise * (node.weight != 0))

    return graph.map(Linear, noisy).map(Conv1d, noisy).map(Conv2d, noisy)


def _counts(graph: Graph, spikes: Array) -> Array:
    """Return output spikes by sample and neuron."""
    return sum_over_time(interpret(graph, spikes).spikes).reshape(len(spikes), -1)


def _agreement(wanted: Array, got: Array) -> float | None:
    most = float(np.maximum(wanted, got).sum())
    if most < FEWEST_SPIKES:
        return None
    return 1 - float(np.abs(wanted - got).sum()) / most

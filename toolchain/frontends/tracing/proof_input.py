"""Input of the runs that prove a Graph: random spikes, and stronger input for silent layers.

If every layer fires on the sample, random spikes follow, in one run. Otherwise the second half of
that run is stronger input, in three sizes one after another, because a layer that stays silent is
not compared. Layers that are silent even then are run once more, on the strongest input alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import exp, factorial

import numpy as np
import torch
from torch import Tensor

from toolchain.arrays import Array

__all__ = ["RANDOM", "STRONG", "ProofInput", "random_spikes", "stronger_inputs", "with_strong"]

RANDOM = "random spikes"
STRONG = "strong random input"

_SIZES = (10.0, 100.0, 1000.0)
"""Standard deviations of the strong input, in this order."""

_MOST_SPIKES = 2.0  # a step, the highest rate
_COUNTS = 24  # the probability of more is below 1e-16


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofInput:
    """Input of one run.

    Attributes:
        tensor: the input, in the shape of the sample.
        label: name of the input in messages.
        strong_from: first timestep of the strong input; None where there is none.
    """

    tensor: Tensor
    label: str
    strong_from: int | None = None

    def label_at(self, step: int) -> str:
        """Return the name of the input of a timestep."""
        if self.strong_from is None:
            return self.label
        return RANDOM if step < self.strong_from else STRONG


def random_spikes(like: Tensor, seed: int) -> ProofInput:
    """Return counts in the shape of ``like``, Poisson with rates from 0 to 2 spikes per step."""
    draws = np.random.default_rng(seed).random(like.shape)
    counts = np.searchsorted(_cumulative(), draws, side="right").astype(np.float64)
    return ProofInput(tensor=torch.from_numpy(counts), label=RANDOM)


def with_strong(like: Tensor, timesteps: Array, seed: int) -> ProofInput:
    """Return random spikes followed by strong input in the second half of the timesteps.

    Args:
        like: the sample.
        timesteps: timestep of each entry of its leading axes.
        seed: seed of the random numbers.
    """
    tensor, time = random_spikes(like, seed).tensor, int(timesteps.max()) + 1
    first = time // 2
    # the strongest comes last and is never left out, however few the timesteps are
    third = np.minimum((time - 1 - timesteps) * len(_SIZES) // (time - first), len(_SIZES) - 1)
    sizes = np.asarray(_SIZES)[::-1][third]
    strong = timesteps >= first
    normal = np.random.default_rng(seed).normal(size=like.shape)
    scale = sizes.reshape(sizes.shape + (1,) * (like.dim() - timesteps.ndim))
    tensor[torch.from_numpy(strong)] = torch.from_numpy((normal * scale)[strong])
    return ProofInput(tensor=tensor, label=f"{RANDOM} and {STRONG}", strong_from=first)


def stronger_inputs(like: Tensor, seed: int, *, has_strong: bool) -> Iterator[ProofInput]:
    """Yield strong input in the shape of ``like``: normally distributed, each time stronger.

    Real numbers rather than counts: a membrane then hardly ever equals its threshold exactly.

    Args:
        like: the sample.
        seed: seed of the random numbers.
        has_strong: True if an earlier run had every size, so that only the largest is left.
    """
    for size in _SIZES[-1:] if has_strong else _SIZES:
        numbers = np.random.default_rng(seed).normal(0.0, size, like.shape)
        yield ProofInput(tensor=torch.from_numpy(numbers), label=STRONG)


@cache
def _cumulative() -> Array:
    """Return P(count <= k), k = 0, 1, ..., of Poisson counts whose rate is uniform.

    The integral of the Poisson probability of k over rates up to m is ``1 - exp(-m) sum_{j <= k}
    m^j / j!``, over m.
    """
    m = _MOST_SPIKES
    terms = np.asarray([m**j / factorial(j) for j in range(_COUNTS)])
    return np.asarray(np.cumsum(1.0 - exp(-m) * np.cumsum(terms)) / m)

"""Spikes that stand for an unknown input, over the range of what a chip receives.

They are of several kinds, since integers that suit one kind can fail on another: steady spikes
from sparse to dense, counts up to the limit of the input, bursts of groups of channels with silence
between, and channels of different rates with a pause.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.arrays import Array, Shape

__all__ = ["guessed_kinds"]

STEADY = (0.005, 0.4)
"""Lowest and highest mean count a step and channel of steady input."""
BUSY = 0.7
"""Lowest mean of busy input; the highest is ``PART`` of the limit."""
PART = 0.4
BURSTS = (0.15, 4.0)
"""Lowest and highest mean within a burst."""
UNEVEN = (0.03, 1.5)
"""Lowest and highest mean of channels whose rates differ, on average over channels."""
SPREAD = 1.0
"""Standard deviation of the logarithm of their rates."""
LENGTH = 12
"""Mean number of steps after which a group of channels starts or ends a burst."""
GROUPS, TURNS = 4, 4
"""Most groups of channels, and the number of turns of which one is a burst."""


def guessed_kinds(
    shape: Shape, *, most: int, samples: int, steps: int, seed: int
) -> Mapping[str, Array]:
    """Return spike counts of each kind, int64 (samples, steps, *shape).

    Args:
        shape: of the input.
        most: largest count a step and channel.
        samples: of each kind, one at each of as many mean counts in geometric series.
        steps: timesteps.
        seed: other seeds give other spikes of the same kinds.

    >>> spikes = guessed_kinds((3,), most=15, samples=2, steps=100, seed=0)
    >>> {kind: counts.mean(axis=(1, 2)).round(1).tolist() for kind, counts in spikes.items()}
    {'steady': [0.0, 0.4], 'busy': [0.7, 5.9], 'bursts': [0.0, 1.1], 'uneven': [0.0, 0.4]}
    """
    rng = np.random.default_rng(seed)
    channels = int(np.prod(shape))
    size = (samples, steps, channels)

    def levels(lowest: float, highest: float) -> Array:
        return np.geomspace(lowest, highest, samples).reshape(-1, 1, 1)

    means = {
        "steady": levels(*STEADY),
        "busy": levels(BUSY, max(BUSY, PART * most)),
        "bursts": levels(*BURSTS) * _in_bursts(rng, size),
        "uneven": levels(*UNEVEN) * _uneven(rng, size),
    }
    return {
        kind: np.minimum(rng.poisson(np.broadcast_to(mean, size)), most).reshape(
            samples, steps, *shape
        )
        for kind, mean in means.items()
    }


def _in_bursts(rng: np.random.Generator, size: tuple[int, int, int]) -> Array:
    """Return 1 in the bursts of each group of neighboring channels, else 0."""
    samples, steps, channels = size
    groups = np.arange(channels) * min(GROUPS, channels) // channels
    count = int(groups[-1]) + 1
    turns = np.cumsum(rng.random((samples, steps, count)) < 1 / LENGTH, axis=1)
    bursts = (turns + rng.integers(0, TURNS, (samples, 1, count))) % TURNS == 0
    return np.asarray(bursts[:, :, groups])


def _uneven(rng: np.random.Generator, size: tuple[int, int, int]) -> Array:
    """Return the relative rate of each channel, 0 for all in the middle third of the steps."""
    samples, steps, channels = size
    rates = rng.lognormal(-(SPREAD**2) / 2, SPREAD, (samples, 1, channels))
    third = steps // 3
    silent = (np.arange(steps) >= third) & (np.arange(steps) < 2 * third)
    return np.asarray(rates * ~silent[:, None])

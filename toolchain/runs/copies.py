"""Changed copies of a few recordings, for searches that need more than there are."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array

__all__ = ["with_copies"]

LEAST_KEPT = 0.6
"""Smallest share of the spikes that a copy keeps."""
MOST_SHIFT = 100
"""Most timesteps by which a copy is later."""


def with_copies(spikes: Array, samples: int, *, seed: int = 0) -> Array:
    """Return ``spikes`` and changed copies of them, so many that there are ``samples``.

    Each copy keeps every spike with a probability of its own, 0.6 to 1, and is shifted by up to 100
    timesteps, the end to the start. The same arguments give the same copies.

    Args:
        spikes: counts (batch, time, *features), not empty; returned unchanged if they are enough.
        samples: number of samples.
        seed: of the random numbers.

    >>> spikes = np.full((2, 50, 3), 4)
    >>> many = with_copies(spikes, 5)
    >>> many.shape, bool((many[:2] == 4).all()), bool(2.4 < many[2:].mean() < 4)
    ((5, 50, 3), True, True)
    """
    missing = samples - len(spikes)
    if missing <= 0:
        return spikes
    rng = np.random.default_rng(seed)
    parts, most = [spikes], min(MOST_SHIFT, spikes.shape[1] - 1)
    for copy in range(missing):
        source = spikes[copy % len(spikes)]
        kept = rng.binomial(source.astype(np.int64), rng.uniform(LEAST_KEPT, 1))
        shifted = np.roll(kept, int(rng.integers(0, most + 1)), axis=0)
        parts.append(shifted[None].astype(spikes.dtype))
    return np.concatenate(parts)

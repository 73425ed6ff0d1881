"""Spike counts of each neuron over a whole run, fast in comparison with its simulation.

Blocks of timesteps are added in the narrow integers in which they are stored, as many as fit, then
in wider integers.
"""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.runs.spikes import plain_array

__all__ = ["active_of_each", "spikes_of_each", "sum_over_time"]

BLOCK = 4096
"""Smallest number of values in one addition: it amortizes the call and fits the caches."""

WIDER = {1: np.int16, 2: np.int32, 4: np.int64, 8: np.int64}


def spikes_of_each(spikes: Array) -> Array:
    """Count the spikes (batch, time, *features) of each neuron, (neurons,), int64.

    Raises:
        ValueError: a count is negative, not a number, not whole or masked, or they are too large.
    """
    rows = _rows(spikes)
    if not rows.size:
        return np.zeros(rows.shape[1], np.int64)
    if not rows.min() >= 0:  # so that NaN is refused too
        raise ValueError("spikes must be counts >= 0")
    if rows.dtype.kind == "f":
        if not np.array_equal(rows, np.floor(rows)) or float(rows.max()) > 2**31:
            raise ValueError("spikes must be whole counts")
        # a narrow float stops counting: 2048 + 1 is 2048 in float16
        return np.asarray(rows.sum(axis=0, dtype=np.float64).astype(np.int64))
    if (peak := int(rows.max())) * len(rows) >= 2**63:
        raise ValueError("spikes must be counts whose sums fit 64 bits")
    return _added(rows, max(1, peak))


def active_of_each(spikes: Array) -> Array:
    """Count the timesteps of all samples in which each neuron spikes, (neurons,), int64."""
    spikes = plain_array(spikes, "spikes")
    few = spikes.dtype.kind == "b" or not spikes.size or spikes.max() <= 1
    return spikes_of_each(spikes if few else spikes > 0)


def sum_over_time(spikes: Array) -> Array:
    """Sum spikes or signed values (batch, time, *features) over time, in int64 or float64.

    Differences of unsigned sums would wrap around, and sums of narrow floats are rounded.

    >>> sum_over_time(np.ones((1, 3000, 1), np.float16)).tolist()
    [[3000.0]]
    """
    exact = np.float64 if spikes.dtype.kind == "f" else np.int64
    return np.asarray(spikes.sum(axis=1, dtype=exact))


def _rows(spikes: Array) -> Array:
    """Return the counts as (steps of all samples, neurons)."""
    spikes = plain_array(spikes, "spikes")
    if spikes.dtype.kind == "b":
        spikes = spikes.view(np.uint8)
    if spikes.dtype.kind not in "iuf":
        raise ValueError(f"spikes must be counts, got an array of type {spikes.dtype}")
    return spikes.reshape(int(np.prod(spikes.shape[:2])), int(np.prod(spikes.shape[2:])))


def _added(rows: Array, peak: int) -> Array:
    """Return the column sums of whole numbers 0..peak."""
    sums = np.zeros(rows.shape[1], np.int64)
    while True:
        addends = int(np.iinfo(rows.dtype).max) // peak  # so many cannot overflow the word
        parts = min(addends, rows.size // BLOCK, len(rows))
        if parts < 2:
            return np.asarray(sums + rows.sum(axis=0, dtype=np.int64))
        length = len(rows) // parts
        sums += rows[parts * length :].sum(axis=0, dtype=np.int64)
        blocks = rows[: parts * length].reshape(parts, length * rows.shape[1])
        added = np.add.reduce(blocks, axis=0, dtype=rows.dtype)
        rows = added.reshape(length, rows.shape[1]).astype(WIDER[rows.dtype.itemsize])
        peak *= parts

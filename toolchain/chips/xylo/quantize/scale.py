"""The scale of each neuron, as large as every word allows, and the integers at it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.words import HEADROOM
from toolchain.chips.xylo.quantize.decays import Snapped
from toolchain.chips.xylo.quantize.plan import Choice, Words
from toolchain.chips.xylo.quantize.populations import Cells, Matrix

__all__ = ["scaled", "state_room"]

RISE = 1.5
"""Every membrane can reach this many thresholds, though it did not on the data."""


def scaled(
    cells: Cells,
    snapped: Snapped,
    shifts: Mapping[Matrix, int],
    words: Words,
    *,
    depth: float = np.inf,
) -> Choice:
    """``snapped`` at the largest scale that its words allow, rounded.

    Args:
        cells, snapped: the population and its decays.
        shifts: of each matrix.
        words: of the chip.
        depth: thresholds beyond which a state may be cut, so that the others are finer.
    """
    room = _room(cells, snapped, shifts, words, depth)
    stack = np.stack(list(room.values()))
    scale = stack.min(axis=0)
    first = np.bincount(stack.argmin(axis=0), minlength=len(room))
    nominal = snapped.threshold * scale
    return Choice(
        dash_mem=snapped.dash_mem,
        dash_syn=snapped.dash_syn,
        scale=scale,
        limited_by=list(room)[int(first.argmax())],
        depth=depth,
        weights=_nearest(cells, snapped.rows * scale[:, None], shifts, words),
        steps={s.name: cells.grid(s.name, shifts, words.weight)[0] for s in cells.sources},
        nominal=nominal,
        threshold=np.maximum(1, np.rint(nominal)).astype(np.int64),
        bias=np.rint(snapped.bias * scale).clip(-words.bias, words.bias).astype(np.int64),
    )


def state_room(snapped: Snapped, words: Words, depth: float = np.inf) -> Array:
    """(neurons,) largest scale at which no state within ``depth`` thresholds leaves its word."""
    least = np.maximum(HEADROOM * snapped.peaks, RISE * snapped.threshold)
    return np.asarray(words.state / np.minimum(least, depth * snapped.threshold))


def _room(
    cells: Cells,
    snapped: Snapped,
    shifts: Mapping[Matrix, int],
    words: Words,
    depth: float,
) -> dict[str, Array]:
    """For each word the largest scale (neurons,) that it allows; inf where it allows any."""
    room: dict[str, Array] = {}
    with np.errstate(divide="ignore"):
        for matrix in cells.matrices:
            largest = (cells.largest(matrix) * snapped.rows).max(axis=1)
            room[f"weights {matrix}"] = words.weight * 2.0 ** shifts[matrix] / largest
        room["states"] = state_room(snapped, words, depth)
        room["threshold"] = words.threshold / snapped.threshold
        if words.bias:
            room["bias"] = words.bias / np.abs(snapped.bias)
    return room


def _nearest(
    cells: Cells, factor: Array, shifts: Mapping[Matrix, int], words: Words
) -> dict[str, Array]:
    """Each weight times ``factor`` (neurons, synapses), at the nearest integer it can have."""
    found = {}
    for source in cells.sources:
        step, top = cells.grid(source.name, shifts, words.weight)
        levels = np.rint(source.weight * (factor / step)[:, :, None])
        found[source.name] = np.clip(levels, -top, top).astype(np.int64) * step
    return found

r"""One scale a layer over weights, bias, threshold and floor, as sinabs chooses it.

.. math::
    \mathrm{scale}(x, n) &= \min(h / M,\ l / m), \quad
    l = -2^{n-1},\ h = 2^{n-1} - 1,\ m = \min x,\ M = \max x \\
    s &= \min\{\mathrm{scale}(W, 8), \mathrm{scale}(b, 8),
        \mathrm{scale}(\{v_{min}, \theta\}, 16), \mathrm{scale}(v_{init}, 16)\}

in 32-bit floats, and every number times s, rounded half to even. Biases have 8 bits, though the
chip has 16. The integers equal those of sinabs 3.1.3 with two exceptions: a missing floor does not
limit the scale (sinabs uses the lowest state, so that s is at most 1 and most networks do not
spike), and a threshold is at least 1.

Source: sinabs documentation, "discretize"; sinabs 3.1.3 as observed.
"""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.quantize.layer import CoreLayer, Integers
from toolchain.chips.speck.spec import SpeckChip

__all__ = ["BIAS_WIDTH", "common"]

BIAS_WIDTH = 8
"""Bits of a bias in sinabs; a choice of that tool, not a limit of the chip."""

F32 = np.float32


def common(layer: CoreLayer, chip: SpeckChip) -> Integers:
    """Return the integers of one layer."""
    conv, neuron = layer.conv, layer.neuron
    state = int(chip.limits.state_width.value)
    thresholds = neuron.v_threshold.ravel()
    floors = np.zeros(0) if neuron.v_min is None else neuron.v_min.ravel()
    deep = floors.size and -floors.min() > thresholds.max()
    limits = {
        "weights": _largest_factor(conv.weight, int(chip.limits.weight_width.value)),
        "bias": _largest_factor(np.zeros(1) if conv.bias is None else conv.bias, BIAS_WIDTH),
        "floor" if deep else "threshold": _largest_factor(np.append(floors, thresholds), state),
        "state": _largest_factor(neuron.v_init, state),
    }
    limited_by = min(limits, key=lambda word: limits[word])
    scale = limits[limited_by]
    return Integers(
        scale=float(scale),
        weight=_round_scaled(conv.weight, scale),
        bias=None if conv.bias is None else _round_scaled(conv.bias, scale),
        threshold=np.maximum(1, _round_scaled(neuron.v_threshold, scale)),
        floor=None if neuron.v_min is None else _round_scaled(neuron.v_min, scale),
        initial=_round_scaled(neuron.v_init, scale),
        limited_by=limited_by,
    )


def _largest_factor(values: Array, width: int) -> np.float32:
    """Return the largest factor that keeps ``values`` in ``width`` bits; inf for only zeros."""
    lowest, highest = -(2 ** (width - 1)), 2 ** (width - 1) - 1
    smallest, largest = F32(values.min()), F32(values.max())
    upper = abs(smallest) <= abs(largest) * F32(abs(lowest / highest))
    limit, value = (highest, largest) if upper else (lowest, smallest)
    with np.errstate(divide="ignore", over="ignore"):
        # torch divides a number by a tensor in two steps, each rounded
        return F32(min(abs(F32(1) / value * F32(limit)), np.finfo(F32).max))


def _round_scaled(values: Array, scale: np.float32) -> Array:
    return np.asarray(np.rint(values.astype(F32) * scale).astype(np.int64))

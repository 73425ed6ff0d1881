"""The backward pass through the neurons of one layer, from the last step to the first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.training import Slope

__all__ = ["NeuronRule", "scan"]


class NeuronRule(NamedTuple):
    """What the neurons of a core have in common: threshold, floor, and whether they return to 0."""

    threshold: int
    floor: int
    to_zero: bool


def scan(
    rule: NeuronRule, spikes: Array, v_mem: Array, outer: Array, slope: Slope | None
) -> tuple[Array, float]:
    """Return the gradient of the summed inputs of a layer, and that of its threshold.

    Args:
        rule: of the layer.
        spikes: (batch, time, *map), of each step.
        v_mem: membranes at the end of each step, of the same shape.
        outer: gradient of the spikes, float32 of the same shape.
        slope: surrogate; None for the ramp.
    """
    threshold = np.float32(rule.threshold)
    found = np.empty(spikes.shape, np.float32)
    after, of_threshold = np.zeros_like(found[:, 0]), 0.0
    for step in range(spikes.shape[1] - 1, -1, -1):
        n = spikes[:, step].astype(np.float32)
        v = v_mem[:, step] + n * threshold
        held = (n == 0) & (v_mem[:, step] <= rule.floor)
        after[held | ((n > 0) & rule.to_zero)] = 0
        g = np.clip(v / threshold, 0, 1) / threshold if slope is None else slope(v, threshold)
        through = (outer[:, step] - (0 if rule.to_zero else after * threshold)) * g
        lost = 0 if rule.to_zero else after * n
        of_threshold -= float(np.sum(through * v / threshold + lost, dtype=np.float64))
        after = after + through
        found[:, step] = after
    return found, of_threshold

"""The loops of the backward pass that matrix products do not cover, compiled."""

# mypy: allow-untyped-decorators

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.cache import compiled_bare

__all__ = ["CONSTANTS", "SUMS", "load", "scan"]

INLINED = "e3b0c44298fc"
"""Digest of the other files that are compiled into this one; see ``cache``."""

CONSTANTS = 3
"""Rows of the constants of a neuron: threshold, largest ``v / threshold`` of a neuron that
answers, factor that the membrane keeps over a step."""
SUMS = 3
"""Rows of the states of a neuron: derivatives with respect to its membrane, threshold, bias."""


@compiled_bare(title="the gradients of Xylo", seconds=2.0)
def load(
    recorded: Array,
    membranes: Array,
    sample: int,
    step: int,
    neuron: int,
    constants: Array,
    spikes: Array,
    relative: Array,
    slope: Array,
) -> None:
    """Load the recorded integers of a layer: spikes, ``v / threshold`` before firing, and ramp.

    Args:
        recorded: int8 (batch, time, neurons), spikes.
        membranes: int16 (batch, time, neurons), after reset.
        sample, step, neuron: the first of them.
        constants: (CONSTANTS, samples, layer).
        spikes, relative, slope: (steps, samples, layer), the results.
    """
    steps, samples, size = spikes.shape
    for t in range(steps):
        for p in range(samples):
            fired = recorded[sample + p, step + t, neuron : neuron + size]
            after = membranes[sample + p, step + t, neuron : neuron + size]
            threshold, most = constants[0, p], constants[1, p]
            to_spikes, to_relative, to_slope = spikes[t, p], relative[t, p], slope[t, p]
            for j in range(size):
                number = np.float32(fired[j])
                u = (np.float32(after[j]) + number * threshold[j]) / threshold[j]
                g = min(max(u, np.float32(0)), np.float32(1)) / threshold[j]
                to_spikes[j] = number
                to_relative[j] = u
                to_slope[j] = np.float32(0) if u > most[j] else g


@compiled_bare(title="the gradients of Xylo in time", seconds=2.0)
def scan(
    first: int,
    stop: int,
    outer: Array,
    spikes: Array,
    relative: Array,
    slope: Array,
    constants: Array,
    keep_syn: Array,
    states: Array,
    arriving: Array,
) -> None:
    """Compute steps ``stop - 1`` down to ``first`` of a layer.

    Args:
        first, stop: the steps.
        outer: (steps, m), derivatives with respect to its spikes; m is samples times neurons.
        spikes, relative, slope: (steps, m); see ``load``.
        constants: (CONSTANTS, m).
        keep_syn: (synapses m,), factor that each current keeps over a step.
        states: (SUMS, m), changed.
        arriving: (steps + 1, synapses m), derivatives with respect to the input of the synapses;
            the steps are written, the one after them is read.
    """
    size = outer.shape[1]
    synapses = keep_syn.size // size
    threshold, keep_mem = constants[0], constants[2]
    later, of_threshold, of_bias = states[0], states[1], states[2]
    for t in range(stop - 1, first - 1, -1):
        outer_t, fired, u, g = outer[t], spikes[t], relative[t], slope[t]
        now, following = arriving[t], arriving[t + 1]
        for j in range(size):
            answer = (outer_t[j] - later[j] * threshold[j]) * g[j]
            before = later[j] + answer
            of_threshold[j] -= answer * u[j] + later[j] * fired[j]
            of_bias[j] += before
            later[j] = before * keep_mem[j]
            if synapses == 1:
                now[j] = keep_syn[j] * (before + following[j])
            else:
                now[2 * j] = keep_syn[2 * j] * (before + following[2 * j])
                now[2 * j + 1] = keep_syn[2 * j + 1] * (before + following[2 * j + 1])

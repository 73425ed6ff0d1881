"""The loops of the backward pass, compiled.

Products are computed here and not by a library, whose threads would compete with those of this
package, and whose results depend on their number.
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.cache import compiled_bare, inline_bare, part_bare

__all__ = ["CONSTANTS", "STATES", "UNROLLED", "accumulate", "load", "multiply", "scan"]

INLINED = "94d85de66723"
"""Digest of the other files that are compiled into this one; see ``cache``."""

CONSTANTS = 3
"""Rows of the constants of a neuron: threshold, largest ``v / threshold`` of a neuron that
answers, factor that the membrane keeps over a step."""
STATES = 4
"""Rows of the states of a neuron: derivatives with respect to its membrane after firing, before
firing, threshold, bias; the last two are sums."""
UNROLLED = 4
"""The number of rows of a factor of ``multiply`` is a multiple of this."""


@compiled_bare
def load(
    recorded: Array,
    membranes: Array,
    sample: int,
    step: int,
    neuron: int,
    size: int,
    threshold: Array,
    spikes: Array,
    before: Array,
) -> None:
    """Load the recorded integers of a layer: its spikes, and its membranes before firing.

    Args:
        recorded: int8 (batch, time, neurons), spikes.
        membranes: int16 (batch, time, neurons), after reset.
        sample, step, neuron: the first of them.
        size: number of neurons of the layer.
        threshold: (samples, width), width >= size.
        spikes, before: (steps, samples, width), the results.
    """
    for t in range(spikes.shape[0]):
        for p in range(spikes.shape[1]):
            fired = recorded[sample + p, step + t, neuron : neuron + size]
            after = membranes[sample + p, step + t, neuron : neuron + size]
            theta, to_spikes, to_before = threshold[p], spikes[t, p], before[t, p]
            for j in range(size):
                number = np.float32(fired[j])
                to_spikes[j] = number
                to_before[j] = np.float32(after[j]) + number * theta[j]


@inline_bare
def _add_product(rows: Array, weight: Array, to: Array) -> None:
    """Add ``rows @ weight`` to ``to``, four rows of the weight at a time."""
    for r in range(rows.shape[0]):
        row, total = rows[r], to[r]
        for k in range(0, weight.shape[0], UNROLLED):
            a, b, c, d = row[k], row[k + 1], row[k + 2], row[k + 3]
            first, second, third, fourth = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            for n in range(weight.shape[1]):
                total[n] = total[n] + a * first[n] + b * second[n] + c * third[n] + d * fourth[n]


@compiled_bare
def multiply(rows: Array, weight: Array, to: Array) -> None:
    """Add the product of (steps, samples, k) and (k, n) to (steps, samples, n)."""
    for t in range(rows.shape[0]):
        _add_product(rows[t], weight, to[t])


@compiled_bare
def accumulate(
    arriving: Array,
    recorded: Array,
    sample: int,
    step: int,
    neuron: int,
    total: Array,
    places: Array,
) -> None:
    """Add the products of spikes and of what each of them changes, over all steps and samples.

    Most spikes are 0: those of a step are listed first, without a branch.

    Args:
        arriving: (steps, samples, k), derivatives.
        recorded: int8 (batch, time, neurons), spikes.
        sample, step, neuron: the first of them.
        total: (sources, k), the result.
        places: int64, memory for as many numbers as there are sources.
    """
    sources, width = total.shape
    for t in range(arriving.shape[0]):
        for p in range(arriving.shape[1]):
            fired = recorded[sample + p, step + t, neuron : neuron + sources]
            found = 0
            for j in range(sources):
                places[found] = j
                found += fired[j] != 0
            row = arriving[t, p]
            for k in range(found):
                number, to = np.float32(fired[places[k]]), total[places[k]]
                for n in range(width):
                    to[n] += number * row[n]


@part_bare
def _step(
    outer: Array,
    spikes: Array,
    before: Array,
    slope: Any,
    constants: Array,
    keep_syn: Array,
    states: Array,
    now: Array,
    following: Array,
) -> None:
    """Compute a step; see ``scan``, of whose arrays these are one step."""
    size = outer.size
    synapses = keep_syn.size // size
    threshold, most, keep_mem = constants[0], constants[1], constants[2]
    later, of_v, of_threshold, of_bias = states[0], states[1], states[2], states[3]
    for j in range(size):
        u = before[j] / threshold[j]
        if slope is None:
            g = min(max(u, np.float32(0)), np.float32(1)) / threshold[j]
            g = np.float32(0) if u > most[j] else g
        else:
            g = slope[j]
        answer = (outer[j] - later[j] * threshold[j]) * g
        of_threshold[j] -= answer * u + later[j] * spikes[j]
        answer += later[j]
        of_v[j] = answer
        of_bias[j] += answer
        later[j] = answer * keep_mem[j]
    if synapses == 1:
        for j in range(size):
            now[j] = keep_syn[j] * (of_v[j] + following[j])
    else:
        for j in range(size):
            now[2 * j] = keep_syn[2 * j] * (of_v[j] + following[2 * j])
            now[2 * j + 1] = keep_syn[2 * j + 1] * (of_v[j] + following[2 * j + 1])


@compiled_bare(title="the gradients of Xylo", seconds=3.0)
def scan(
    first: int,
    stop: int,
    outer: Array,
    spikes: Array,
    before: Array,
    slope: Any,
    constants: Array,
    keep_syn: Array,
    states: Array,
    arriving: Array,
    recurrent: Array,
) -> None:
    """Compute steps ``stop - 1`` down to ``first`` of a layer.

    Args:
        first, stop: the steps.
        outer: (steps, samples, width), derivatives with respect to its spikes; those through its
            own connections are added.
        spikes, before: (steps, samples, width); see ``load``.
        slope: as ``spikes``, derivatives of the spikes with respect to the membranes; None for
            the ramp.
        constants: (CONSTANTS, samples * width).
        keep_syn: (samples * width * synapses,), factor that each current keeps over a step.
        states: (STATES, samples * width), changed.
        arriving: (steps + 1, samples, width * synapses), derivatives with respect to the input of
            the synapses; the steps are written, the one after them is read.
        recurrent: (width * synapses, width), weights of the layer to itself; (0, 0) if there are
            none.
    """
    for t in range(stop - 1, first - 1, -1):
        if recurrent.size:
            _add_product(arriving[t + 1], recurrent, outer[t])
        g = None if slope is None else slope[t].reshape(-1)
        _step(
            outer[t].reshape(-1),
            spikes[t].reshape(-1),
            before[t].reshape(-1),
            g,
            constants,
            keep_syn,
            states,
            arriving[t].reshape(-1),
            arriving[t + 1].reshape(-1),
        )

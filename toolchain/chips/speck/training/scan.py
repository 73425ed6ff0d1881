"""The compiled backward pass of the neurons of a layer, from the last step to the first.

Neurons are handled in vectors; the loops over them have no branches.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types.

from __future__ import annotations

import numpy as np

from toolchain.chips.compiled.cache import compiled_bare, inline_bare

__all__ = ["scan"]

INLINED = "4c31a57b257c"
"""Digest of the other files that are compiled into this one; see ``cache``."""

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


@inline_bare
def _back(fired, rest, u, g, outer, after, threshold, floor, kept):
    """Go back one step through one neuron; see ``backward``.

    Args: spikes of the step, membrane after it, membrane before firing in thresholds, slope,
    gradients of the spikes and of the membrane after the step; ``kept`` is 1 where a spike
    subtracts the threshold, and 0 where the membrane returns to 0.
    Returns the gradients of the membrane before firing, and of the threshold.
    """
    r = _ZERO if (fired == _ZERO) & (rest <= floor) else after
    r = r * kept if fired > _ZERO else r
    through = (outer - r * threshold * kept) * g
    return r + through, -(through * u + r * fired * kept)


@inline_bare
def _step(spikes, v_mem, slope, outer, after, of_threshold, threshold, floor, kept):
    """Go back one step through some neurons; ``slope`` is empty for the ramp."""
    inverse = _ONE / threshold
    if slope.size == 0:
        for i in range(outer.size):
            fired, rest = np.float32(spikes[i]), np.float32(v_mem[i])
            u = rest * inverse + fired
            g = (_ZERO if u < _ZERO else (_ONE if u > _ONE else u)) * inverse
            r, more = _back(fired, rest, u, g, outer[i], after[i], threshold, floor, kept)
            of_threshold[i] += more
            after[i] = r
            outer[i] = r
        return
    for i in range(outer.size):
        fired, rest = np.float32(spikes[i]), np.float32(v_mem[i])
        u = rest * inverse + fired
        r, more = _back(fired, rest, u, slope[i], outer[i], after[i], threshold, floor, kept)
        of_threshold[i] += more
        after[i] = r
        outer[i] = r


@inline_bare
def _forget(spikes, v_mem, before, drive, after, threshold, kept):
    """Take the gradient from the membranes before a step in which they were at the floor.

    What a neuron lost there is what its sum of inputs does not explain.
    """
    for i in range(after.size):
        fired = np.float32(spikes[i])
        explained = np.float32(before[i]) + drive[i] - fired * threshold
        lost = np.float32(v_mem[i]) - explained > _HALF
        known = (fired == _ZERO) | (kept == _ONE)
        after[i] = _ZERO if lost & known else after[i]


@compiled_bare(title="the training of Speck", seconds=3)
def scan(steps, spikes, v_mem, spikes_at, v_mem_at, start, drive, slope, outer, sums, rule):
    """Go back through all steps of a layer, from the last.

    spikes, v_mem: (samples, record), with the layer from ``spikes_at`` and ``v_mem_at`` on. start:
    membranes before the first step (samples, neurons). drive: summed inputs (samples, steps *
    neurons), or (samples, 0) in clocked timing. slope: of the same shape, or (samples, 0) for the
    ramp. outer: gradient of the spikes (samples, steps * neurons), replaced by that of the
    membranes before firing. sums: (2, samples, neurons): gradient of the membranes after the last
    step, replaced by that before the first; and that of the threshold, added to. rule: threshold,
    floor and ``kept`` of ``_back``.
    """
    threshold, floor, kept, size = rule[0], rule[1], rule[2], sums.shape[2]
    for sample in range(outer.shape[0]):
        after = sums[0, sample]
        for step in range(steps - 1, -1, -1):
            at, end = step * size, step * size + size
            n = spikes[sample, spikes_at + at : spikes_at + end]
            v = v_mem[sample, v_mem_at + at : v_mem_at + end]
            g = slope[sample, at:end]  # empty for the ramp
            _step(n, v, g, outer[sample, at:end], after, sums[1, sample], threshold, floor, kept)
            if drive.shape[1] == 0:
                continue
            before = start[sample]
            if step > 0:
                before = v_mem[sample, v_mem_at + at - size : v_mem_at + at]
            _forget(n, v, before, drive[sample, at:end], after, threshold, kept)

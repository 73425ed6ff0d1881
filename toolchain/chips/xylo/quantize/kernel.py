"""Compiled simulation of neurons without connections: spike counts for a given drive.

What a neuron does with its drive is the chip's integer arithmetic
(:mod:`toolchain.chips.xylo.simulate.twin`), except that all spikes of a step are added at once, so
that the two differ where a state is cut at the edge of its word. Several thresholds and biases of
one neuron are tried side by side, because its currents are the same for all of them.
"""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.cache import compiled

__all__ = ["respond"]

INLINED = "50567a4372e0"
"""Digest of the other files that are compiled into this one; see ``cache``."""


@compiled
def respond(
    drive: Array,
    dash_syn: Array,
    dash_mem: Array,
    threshold: Array,
    bias: Array,
    cap: int,
    rail: int,
    window: int,
    counts: Array,
    peaks: Array,
) -> None:
    """Simulate the neurons; add spikes to ``counts`` and raise ``peaks``.

    Args:
        drive: int32 (neurons, synapses, samples, time), what arrives at each synapse.
        dash_syn: int32 (neurons, synapses).
        dash_mem: int32 (neurons,).
        threshold: int32 (neurons, tries).
        bias: int32 (neurons, tries).
        cap: most spikes a step.
        rail: states are cut at ``-rail - 1`` and ``rail``, below 2**30.
        window: steps whose spikes are counted together.
        counts: int32 (neurons, tries, samples, windows).
        peaks: int32 (neurons,), largest magnitude of any state before it was cut or reset.
    """
    neurons, synapses, samples, steps = drive.shape
    tries = threshold.shape[1]
    i = np.zeros(synapses, np.int32)
    v = np.zeros(tries, np.int32)
    top, bottom = np.int32(rail), np.int32(-rail - 1)
    zero, one = np.int32(0), np.int32(1)
    for n in range(neurons):
        slow = dash_mem[n]
        peak = peaks[n]
        for b in range(samples):
            i[:] = 0
            v[:] = 0
            for t in range(steps):
                total = zero
                for s in range(synapses):
                    x = np.int32(i[s] + drive[n, s, b, t])
                    peak = max(peak, abs(x))
                    x = min(max(x, bottom), top)
                    lost = np.int32(x >> dash_syn[n, s])
                    if lost == 0 and x > 0:
                        lost = one
                    i[s] = x - lost
                    total += i[s]
                peak = max(peak, abs(total))
                for j in range(tries):
                    u = v[j]
                    lost = np.int32(u >> slow)
                    if lost == 0 and u > 0:
                        lost = one
                    u = np.int32(u - lost + total + bias[n, j])
                    peak = max(peak, abs(u))
                    u = min(max(u, bottom), top)
                    if u >= threshold[n, j]:
                        fired = min(np.int32(u // threshold[n, j]), np.int32(cap))
                        u = np.int32(u - fired * threshold[n, j])
                        counts[n, j, b, t // window] += fired
                    v[j] = u
        peaks[n] = peak

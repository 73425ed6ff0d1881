"""Compiled simulation of neurons without connections, and how far their spikes are from the wanted.

What a neuron does with its drive is the chip's integer arithmetic
(:mod:`toolchain.chips.xylo.simulate.twin`), except that all spikes of a step are added at once, so
that the two differ where a state is cut at the edge of its word. Several thresholds and biases of
one neuron are tried side by side, because its currents are the same for all of them: lane
``try * samples + sample`` of its membranes.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types.

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, inline_bare
from toolchain.chips.compiled.lanes import LANES

__all__ = ["Scratch", "respond"]

INLINED = "cb09f3c99aa7"
"""Digest of the other files that are compiled into this one; see ``cache``."""


class Scratch(NamedTuple):
    """Arrays of int32 that a run overwrites.

    ``currents``: (synapses, samples in whole vectors). ``arriving``: samples in whole vectors.
    ``total``: as many and a vector more. ``membranes``, ``threshold``, ``bias``: lanes in whole
    vectors. ``fired``: (windows, lanes).
    """

    currents: Array
    arriving: Array
    total: Array
    membranes: Array
    threshold: Array
    bias: Array
    fired: Array

    @classmethod
    def of(cls, synapses: int, tries: int, samples: int, windows: int) -> Scratch:
        """Allocate the arrays."""
        width, size = (-(-n // LANES) * LANES for n in (samples, samples * tries))
        shapes = (synapses, width), width, width + LANES, size, size, size, (windows, size)
        return cls(*(np.zeros(shape, np.int32) for shape in shapes))


@inline_bare
def _leaked(x, dash):
    """Return what is left of 32 states after a step: of one above 0 at least 1 is lost."""
    return lanes.subtract(x, lanes.maximum(lanes.shift_right(x, dash), lanes.minimum(x, 1)))


@inline_bare
def _cut(x, rail):
    return lanes.minimum(lanes.maximum(x, -rail - 1), rail)


@inline_bare
def _largest(high, low):
    """Return the largest magnitude of two arrays' values, of which one has the lowest."""
    found = np.int64(0)
    for i in range(LANES):
        found = max(found, np.int64(high[i]), -np.int64(low[i]))
    return found


@inline_bare
def _start(n, tries, samples, threshold, bias, scratch):
    """Set all states to 0; return whether there is a bias."""
    size, biased = scratch.membranes.size, False
    for lane in range(size):
        # lanes behind the last try repeat the first, so that they add nothing to the peaks
        attempt = lane // samples if lane < samples * tries else 0
        scratch.threshold[lane] = threshold[n, attempt]
        scratch.bias[lane] = bias[n, attempt]
        scratch.membranes[lane] = 0
        biased |= bias[n, attempt] != 0
    for i in range(scratch.fired.size):
        scratch.fired[i // size, i % size] = 0
    width = scratch.arriving.size
    for i in range(scratch.currents.size):
        scratch.currents[i // width, i % width] = 0
    return biased


@inline_bare
def _sum_currents(n, t, drive, dash_syn, rail, high, low, scratch):
    """Update the currents and write their sum of each sample; return highest and lowest states."""
    width, samples = scratch.arriving.size, drive.shape[2]
    for b in range(width):
        scratch.total[b] = 0
    for s in range(drive.shape[1]):
        for b in range(samples):
            scratch.arriving[b] = drive[n, s, b, t]
        for at in range(0, width, LANES):
            before = lanes.load(scratch.currents, s * width + at)
            x = lanes.add(before, lanes.load(scratch.arriving, at))
            high, low = lanes.maximum(high, x), lanes.minimum(low, x)
            x = _leaked(_cut(x, rail), dash_syn[n, s])
            lanes.store(scratch.currents, s * width + at, x)
            total = lanes.add(lanes.load(scratch.total, at), x)
            lanes.store(scratch.total, at, total)
    for at in range(0, width, LANES):
        total = lanes.load(scratch.total, at)
        high, low = lanes.maximum(high, total), lanes.minimum(low, total)
    # repeated, so that 32 lanes from any sample on can be read
    for b in range(samples, samples + LANES):
        scratch.total[b] = scratch.total[b - samples]
    return high, low


@inline_bare
def _fire(u, at, place, cap, scratch):
    """Store 32 membranes, and let those fire that reach their threshold."""
    threshold = lanes.load(scratch.threshold, at)
    firing = lanes.at_least(u, threshold)
    if lanes.nonzero(firing) == 0:
        lanes.store(scratch.membranes, at, u)
        return
    rest = lanes.subtract(u, lanes.both(firing, threshold))
    lanes.store(scratch.membranes, at, rest)
    lanes.store(scratch.fired, place, lanes.subtract(lanes.load(scratch.fired, place), firing))
    again = lanes.nonzero(lanes.both(firing, lanes.at_least(rest, threshold)))
    if cap == 1:
        return
    while again:
        lane = lanes.lowest(again)
        again &= again - 1
        value, level = (
            np.int64(scratch.membranes[at + lane]),
            np.int64(scratch.threshold[at + lane]),
        )
        more = min(value // level, cap - 1)
        scratch.membranes[at + lane] = value - more * level
        row = (place + lane) // scratch.membranes.size
        scratch.fired[row, place + lane - row * scratch.membranes.size] += more


@inline_bare
def _step(n, row, dash_mem, biased, cap, rail, samples, high, low, scratch):
    """Update the membranes of all tries; return highest and lowest states."""
    size, sample = scratch.membranes.size, 0
    for at in range(0, size, LANES):
        u = _leaked(lanes.load(scratch.membranes, at), dash_mem[n])
        u = lanes.add(u, lanes.load(scratch.total, sample))
        if biased:
            u = lanes.add(u, lanes.load(scratch.bias, at))
        high, low = lanes.maximum(high, u), lanes.minimum(low, u)
        _fire(_cut(u, rail), at, row * size + at, cap, scratch)
        sample += LANES
        while sample >= samples:
            sample -= samples
    return high, low


@inline_bare
def _distance(n, attempt, samples, wanted, fired):
    """Return missing and surplus spikes, in samples and at half weight in windows."""
    whole, each = np.int64(0), np.int64(0)
    for b in range(samples):
        missing = np.int64(0)
        for w in range(wanted.shape[2]):
            less = np.int64(fired[w, attempt * samples + b]) - np.int64(wanted[n, b, w])
            each += abs(less)
            missing += less
        whole += abs(missing)
    return whole + 0.5 * each


@compiled_bare(title="the Xylo quantizer", seconds=2)
def respond(
    first,
    last,
    drive,
    dash_syn,
    dash_mem,
    threshold,
    bias,
    cap,
    rail,
    window,
    wanted,
    scratch,
    distance,
    peaks,
):
    """Simulate the neurons from ``first`` to ``last``; write ``distance`` and raise ``peaks``.

    Args:
        first, last: of the neurons; ``last`` is excluded.
        drive: int32 (neurons, synapses, samples, time), what arrives at each synapse.
        dash_syn: int32 (neurons, synapses).
        dash_mem: int32 (neurons,).
        threshold: int32 (neurons, tries).
        bias: int32 (neurons, tries).
        cap: most spikes a step.
        rail: states are cut at ``-rail - 1`` and ``rail``, below 2**30.
        window: steps whose spikes are counted together.
        wanted: int32 (neurons, samples, windows), spikes of the trained neurons.
        scratch: see ``Scratch``.
        distance: float64 (neurons, tries), of the spikes from the wanted ones.
        peaks: int32 (neurons,), largest magnitude of any state before it was cut or reset.
    """
    _, _, samples, steps = drive.shape
    tries = threshold.shape[1]
    for n in range(first, last):
        biased = _start(n, tries, samples, threshold, bias, scratch)
        high, low = lanes.zeros(scratch.membranes), lanes.zeros(scratch.membranes)
        for t in range(steps):
            high, low = _sum_currents(n, t, drive, dash_syn, rail, high, low, scratch)
            row = t // window
            high, low = _step(n, row, dash_mem, biased, cap, rail, samples, high, low, scratch)
        # the arrays are not needed any more
        lanes.store(scratch.membranes, 0, high)
        lanes.store(scratch.threshold, 0, low)
        peaks[n] = max(np.int64(peaks[n]), _largest(scratch.membranes, scratch.threshold))
        for attempt in range(tries):
            distance[n, attempt] = _distance(n, attempt, samples, wanted, scratch.fired)

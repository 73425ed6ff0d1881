"""Compiled loops of the quantizer: joint rounding, and one layer with many integers at a time.

A layer is run position by position on the map, all candidates of its integers side by side: lane
``candidate * outputs + output``. All of them receive the same events, so that each is found once.
The sum of a step is exact: it has 16 bits where the number of events proves that it fits, and else
64.

Events are grouped by (step, y, x), ordered by x within a row, and have the key ``x * channels +
channel``. Weights and moments are in the order [kernel y][kernel x][channel], so that the key gives
the row of the weight.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types, several sets of them.

from __future__ import annotations

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, inline_bare
from toolchain.chips.compiled.lanes import LANES

__all__ = ["add_products", "compare", "descend"]

INLINED = "b939c212d248"
"""Digest of the other files that are compiled into this one; see ``cache``."""


@inline_bare
def _collect(events, geometry, step, position, scratch):
    """Write kernel rows and counts of the events at a position; return number and sum of counts."""
    top = position // geometry.out_width * geometry.stride_y - geometry.padding_y
    left = position % geometry.out_width * geometry.stride_x - geometry.padding_x
    # without dilation the events of a whole kernel row are in one range
    span = geometry.kernel_x if geometry.dilation_x == 1 else 1
    found, total = 0, np.int64(0)
    for i in range(geometry.kernel_y):
        y = top + i * geometry.dilation_y
        if y < 0 or y >= geometry.height:
            continue
        line = (step * geometry.height + y) * geometry.width
        for j in range(0, geometry.kernel_x, span):
            x = left + j * geometry.dilation_x
            first, last = max(x, 0), min(x + span, geometry.width)
            if first >= last:
                continue
            row = (i * geometry.kernel_x + j - x) * geometry.channels
            for event in range(events.starts[line + first], events.starts[line + last]):
                scratch.rows[found] = row + events.keys[event]
                scratch.amounts[found] = events.counts[event]
                total += events.counts[event]
                found += 1
    return found, total


@inline_bare
def _narrow_sum(bias, weights, at, size, found, scratch):
    """Return bias and weights of 32 lanes from ``at`` on, which fit 16 bits."""
    total = lanes.load(bias, at)
    for event in range(found):
        weight = lanes.load_as(weights, scratch.rows[event] * size + at, bias)
        if scratch.amounts[event] != 1:
            weight = lanes.multiply(weight, scratch.amounts[event])
        total = lanes.add(total, weight)
    return total


@inline_bare
def _wide_sum(bias, weights, at, size, found, scratch):
    """Return the same in 64 bits."""
    total = lanes.widen(lanes.widen(lanes.load(bias, at)))
    for event in range(found):
        weight = lanes.load_as(weights, scratch.rows[event] * size + at, scratch.wide)
        total = lanes.add(total, lanes.multiply(weight, scratch.amounts[event]))
    return total


@inline_bare
def _settle(v, saturated, at, outputs, neurons, scratch, totals):
    """Store 32 membranes after their sum, and let those that reach the threshold fire."""
    while saturated:
        lane = at + lanes.lowest(saturated)
        saturated &= saturated - 1
        totals.saturations[lane // outputs] += 1
    v = lanes.maximum(v, lanes.load(neurons.floor, at))
    threshold = lanes.load(neurons.threshold, at)
    firing = lanes.at_least(v, threshold)
    if lanes.nonzero(firing) == 0:
        lanes.store(scratch.membranes, at, v)
        return
    rest = lanes.subtract(v, lanes.both(firing, threshold))
    lanes.store(scratch.membranes, at, rest)
    fired = lanes.load(scratch.fired, at)
    lanes.store(scratch.fired, at, lanes.subtract(fired, lanes.widen(firing)))
    again = lanes.nonzero(lanes.both(firing, lanes.at_least(rest, threshold)))
    while again:
        lane = at + lanes.lowest(again)
        again &= again - 1
        value, level = np.int64(scratch.membranes[lane]), np.int64(neurons.threshold[lane])
        scratch.membranes[lane] = value % level
        scratch.fired[lane] += value // level
    if neurons.to_zero:
        v = lanes.load(scratch.membranes, at)
        lanes.store(scratch.membranes, at, lanes.subtract(v, lanes.both(firing, v)))


@inline_bare
def _step(found, fits, outputs, neurons, scratch, totals):
    """Add a step's events to all membranes of a position, and let them fire."""
    size = neurons.bias.size
    for at in range(0, size, LANES):
        v = lanes.load(scratch.membranes, at)
        if fits:
            total = _narrow_sum(neurons.bias, neurons.weights, at, size, found, scratch)
            after = lanes.add_saturating(v, total)
            saturated = lanes.nonzero(lanes.not_equal(after, lanes.add(v, total)))
        else:
            exact = _wide_sum(neurons.bias, neurons.weights, at, size, found, scratch)
            exact = lanes.add(exact, lanes.widen(lanes.widen(v)))
            saturated = lanes.nonzero(lanes.greater(exact, 32767))
            saturated |= lanes.nonzero(lanes.below(exact, -32768))
            exact = lanes.maximum(lanes.minimum(exact, 32767), -32768)
            after = lanes.narrow(lanes.narrow(exact))
        _settle(after, saturated, at, outputs, neurons, scratch, totals)


@compiled_bare(title="the Speck quantizer", seconds=3)
def compare(events, geometry, neurons, wanted, scratch, totals):
    """Run all candidates on one sample; add what separates their counts from the wanted ones.

    ``wanted``: int64 (positions, outputs), spikes of the float neurons in the sample.
    """
    positions, outputs = wanted.shape
    for position in range(positions):
        initial = position if neurons.initial.shape[0] > 1 else 0
        for lane in range(neurons.bias.size):
            scratch.membranes[lane] = neurons.initial[initial, lane]
            scratch.fired[lane] = 0
        for step in range(geometry.steps):
            found, total = _collect(events, geometry, step, position, scratch)
            # without a bias only events change a membrane, after the first step
            if found or neurons.peak or step == 0:
                fits = total * 128 + neurons.peak <= 32767
                _step(found, fits, outputs, neurons, scratch, totals)
        for candidate in range(totals.apart.size):
            apart, most = np.int64(0), np.int64(0)
            for output in range(outputs):
                n = wanted[position, output]
                m = np.int64(scratch.fired[candidate * outputs + output])
                apart += abs(n - m)
                most += max(n, m)
            totals.apart[candidate] += apart
            totals.most[candidate] += most


@compiled_bare(title="the Speck quantizer", seconds=3)
def add_products(events, geometry, constant, scratch, products):
    """Add the products of the counts of all pairs of taps, at each position of the map.

    ``products``: float64 (taps, taps), of which only the entries up to the diagonal are added to;
    the last tap has the count ``constant`` unless that is 0.
    """
    for position in range(geometry.out_height * geometry.out_width):
        found, _ = _collect(events, geometry, 0, position, scratch)
        if constant:
            scratch.rows[found] = products.shape[0] - 1
            scratch.amounts[found] = constant
            found += 1
        for i in range(found):
            row, amount = scratch.rows[i], scratch.amounts[i]
            for j in range(i + 1):
                products[row, scratch.rows[j]] += amount * scratch.amounts[j]


@compiled_bare(title="the Speck quantizer", seconds=3)
def descend(rounded, error, slope, own, top, m, order, sweeps):
    """Change entries of ``rounded`` by one while the squared error of their row decreases.

    Rows are independent of each other. All arrays are float64 but for ``order``, and contiguous;
    the first three are changed.

    Args:
        rounded: (rows, taps), whole numbers.
        error: (rows, taps), ``rounded`` minus the wanted values.
        slope: (rows, taps), ``error @ m``.
        own: (taps,), diagonal of ``m``.
        top: (taps,), largest magnitudes.
        m: (taps, taps).
        order: int64, the taps to try, in this order.
        sweeps: number of passes over the taps.
    """
    for r in range(rounded.shape[0]):
        for _ in range(sweeps):
            moved = False
            for j in order:
                move = -1.0 if slope[r, j] > 0 else 1.0
                if (
                    2 * move * slope[r, j] + own[j] < -1e-9 * own[j]
                    and abs(error[r, j] + move) < 1
                    and abs(rounded[r, j] + move) <= top[j]
                ):
                    rounded[r, j] += move
                    error[r, j] += move
                    for k in range(m.shape[0]):
                        slope[r, k] += move * m[j, k]
                    moved = True
            if not moved:
                break

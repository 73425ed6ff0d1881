"""The compiled backward pass of a layer: its neurons, its weights and the spikes that it receives.

Maps are flat, [y][x][channel], as the simulators record them. All loops end in runs of contiguous
float32 that are handled in vectors: of neurons in the scan, of output channels for the gradients of
weights, of input channels for those of spikes. Zeros are skipped: spikes are rare, and a neuron at
its floor has no gradient.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types.

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from toolchain.chips.compiled.cache import compiled_bare, inline_bare

__all__ = ["ColumnReach", "Geometry", "RowReach", "of_events", "of_sources", "of_weights", "scan"]

INLINED = "4c31a57b257c"
"""Digest of the other files that are compiled into this one; see ``cache``."""

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


class Geometry(NamedTuple):
    """A connection to a core: pooled spikes of a source, and the convolution of the core.

    Attributes:
        source_height, source_width, source_channels: of the map of the source.
        side: of the pooling window.
        height, width: of the map that the core receives.
        rows, columns, outputs: of the map of its neurons.
        kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x: of its convolution.
    """

    source_height: int
    source_width: int
    source_channels: int
    side: int
    height: int
    width: int
    rows: int
    columns: int
    outputs: int
    kernel_y: int
    kernel_x: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int


class RowReach(IntEnum):
    """Columns of the table of source rows: the kernel rows that a spike meets, and their neurons.

    The kernel rows are ``KERNEL``, ``KERNEL`` + stride and so on, ``COUNT`` of them; the lines of
    neurons are ``LINE``, ``LINE`` - 1 and so on.
    """

    KERNEL = 0
    LINE = 1
    COUNT = 2


class ColumnReach(IntEnum):
    """Columns of the table of source columns: the runs of weights that a spike meets in a row.

    Of ``COUNT`` runs of ``LENGTH`` outputs, the first has the weights from ``WEIGHT`` on and the
    neurons of the line from ``NEURON`` on; the next ones begin ``WEIGHT_STEP`` and ``NEURON_STEP``
    further.
    """

    CHANNEL = 0
    WEIGHT = 1
    NEURON = 2
    LENGTH = 3
    COUNT = 4
    WEIGHT_STEP = 5
    NEURON_STEP = 6


_KERNEL, _LINE, _ROWS = (int(field) for field in RowReach)
_CHANNEL, _WEIGHT, _NEURON, _LENGTH, _RUNS, _WEIGHT_STEP, _NEURON_STEP = (
    int(field) for field in ColumnReach
)


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


@inline_bare
def _fill(target, value):
    for i in range(target.size):
        target[i] = value


@inline_bare
def _add(target, source):
    for i in range(target.size):
        target[i] += source[i]


@inline_bare
def _add_scaled(target, source, factor):
    for i in range(target.size):
        target[i] += factor * source[i]


@inline_bare
def _add_four(target, a, b, c, d, by_a, by_b, by_c, by_d):
    for i in range(target.size):
        target[i] += (by_a * a[i] + by_b * b[i]) + (by_c * c[i] + by_d * d[i])


@inline_bare
def _add_spike(count, channel, row, column, inputs, weights, forward, g):
    """Add to the gradient of weights what one address of the source contributes in a step.

    row, column: of the tables of ``RowReach`` and ``ColumnReach``. inputs: gradient of the core's
    inputs in this step. weights: (inputs, kernel y, kernel x reversed * outputs). forward: True
    adds to the inputs what the weights contribute instead.
    """
    length, kernel, line = column[_LENGTH], row[_KERNEL], row[_LINE] * g.columns * g.outputs
    for _ in range(row[_ROWS]):
        at, to = column[_WEIGHT], line + column[_NEURON]
        for _ in range(column[_RUNS]):
            weight, run = weights[channel, kernel, at : at + length], inputs[to : to + length]
            if forward:
                _add_scaled(run, weight, count)
            else:
                _add_scaled(weight, run, count)
            at += column[_WEIGHT_STEP]
            to += column[_NEURON_STEP]
        kernel += g.stride_y
        line -= g.columns * g.outputs


@compiled_bare(title="the training of Speck", seconds=3)
def of_weights(steps, spikes, spikes_at, inputs, pooled, rows, columns, weights, forward, g):
    """Add the gradient of the weights between a core and one source.

    spikes: (samples, record), with the source from ``spikes_at`` on. inputs: gradient of the core's
    inputs (samples, steps * neurons). pooled: a pixel of the source behind its pooling, for use
    here. rows, columns: tables of the source, those of its first channel. weights: of the channels
    of the source; these and ``forward`` as in ``_add_spike``. g: ``Geometry``.
    """
    line, channels = g.source_width * g.source_channels, g.source_channels
    size, neurons = g.source_height * line, g.rows * g.columns * g.outputs
    for sample in range(inputs.shape[0]):
        for step in range(steps):
            start = spikes_at + step * size
            sent = spikes[sample, start : start + size]
            by_step = inputs[sample, step * neurons : step * neurons + neurons]
            for y in range(g.height):
                row = rows[y * g.side]
                for x in range(g.width):
                    column = columns[x * g.side]
                    at = (y * g.side * g.source_width + x * g.side) * channels
                    _fill(pooled, 0)
                    for down in range(g.side):
                        for right in range(g.side):
                            there = at + down * line + right * channels
                            _add(pooled, sent[there : there + channels])
                    for channel in range(channels):
                        if pooled[channel]:
                            count = np.float32(pooled[channel])
                            _add_spike(count, channel, row, column, by_step, weights, forward, g)


@compiled_bare(title="the training of Speck", seconds=2)
def of_events(events, inputs, rows, columns, weights, forward, g):
    """Add the gradient of the weights between the input and a core, for one sample.

    events: int32 (4, n): step, y, channel * width + x, and count. The rest as in ``of_weights``.
    """
    neurons = g.rows * g.columns * g.outputs
    for event in range(events.shape[1]):
        at, column = events[0, event] * neurons, columns[events[2, event]]
        by_step, count = inputs[at : at + neurons], np.float32(events[3, event])
        row, channel = rows[events[1, event]], column[_CHANNEL]
        _add_spike(count, channel, row, column, by_step, weights, forward, g)


@inline_bare
def _gather(delta, weight, some, sums):
    """Replace ``sums`` by the weights of the outputs, each times its gradient; False if all are 0.

    some: indices of outputs with a gradient, for use here.
    """
    number = 0
    for output in range(delta.size):
        some[number] = output
        number += delta[output] != _ZERO
    if number == 0:
        return False
    _fill(sums, _ZERO)
    i = 0
    while i + 4 <= number:
        a, b, c, d = some[i], some[i + 1], some[i + 2], some[i + 3]
        _add_four(
            sums, weight[a], weight[b], weight[c], weight[d], delta[a], delta[b], delta[c], delta[d]
        )
        i += 4
    while i < number:
        _add_scaled(sums, weight[some[i]], delta[some[i]])
        i += 1
    return True


@compiled_bare(title="the training of Speck", seconds=3)
def of_sources(steps, delta, weight, scratch, some, sums, found, g):
    """Add the gradient of the spikes of one source of a core.

    delta: gradient of the core's inputs (samples, steps * neurons). weight: (outputs, kernel y *
    kernel x * channels) of the channels of the source. scratch: the map that the core receives,
    padded, [y][x][channel], for use here; some, sums: see ``_gather``. found: (samples, steps *
    neurons of the source). g: ``Geometry``.
    """
    channels, outputs = g.source_channels, g.outputs
    pitch, run = (g.width + 2 * g.pad_x) * channels, g.kernel_x * channels
    line = g.source_width * channels
    size, neurons = g.source_height * line, g.rows * g.columns * outputs
    for sample in range(delta.shape[0]):
        for step in range(steps):
            _fill(scratch, _ZERO)
            for row in range(g.rows):
                for column in range(g.columns):
                    at = step * neurons + (row * g.columns + column) * outputs
                    if not _gather(delta[sample, at : at + outputs], weight, some, sums):
                        continue
                    to = row * g.stride_y * pitch + column * g.stride_x * channels
                    for k in range(g.kernel_y):
                        into, of = to + k * pitch, k * run
                        _add(scratch[into : into + run], sums[of : of + run])
            for y in range(g.height * g.side):
                at = (y // g.side + g.pad_y) * pitch + g.pad_x * channels
                to = step * size + y * line
                for _ in range(g.width):
                    for _ in range(g.side):
                        _add(found[sample, to : to + channels], scratch[at : at + channels])
                        to += channels
                    at += channels

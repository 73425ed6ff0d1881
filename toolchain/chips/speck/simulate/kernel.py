"""The compiled clocked simulation: the whole network and the whole input in one call.

It is event-driven. A spike adds weights at once to the membranes of each destination, and a core
updates only lines of neurons that weights were added to. The order of additions has no effect: sums
are exact integers and are clamped once, after the last.

Layouts, chosen so that one event touches few, long, contiguous runs:

- membranes [y][margin, x, margin][channel], one array for all cores. Additions of an event
  beyond the border go to the margins, which are never read, so that every run is whole;
- weights [input channel][kernel y][phase][kernel x reversed][output channel]. With a stride s an
  event reaches only every s-th kernel column, those of one *phase*; kept together and reversed,
  they are in the order of the neurons they are added to. Stride 1 has one phase. Each such run is
  padded with zeros to whole vectors;
- pooling, strides and padding are in tables: for each connection, the neurons that a row and a
  column of the source reach.

Membranes have 16, 32 or 64 bits. For each line the kernel tracks a bound on its sums, computes the
exact maximum when the bound exceeds the type, and stops if that exceeds it too: the caller then
uses the next type. So 16 bits suffice wherever nothing is clamped.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types, several sets of them.

from __future__ import annotations

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, inline_bare
from toolchain.chips.compiled.lanes import LANES
from toolchain.chips.speck.simulate.tables import ColumnField, CoreField, RowField, TargetField

__all__ = ["record_membranes", "run"]

INLINED = "776b99f1b3c6"
"""Digest of the other files that are compiled into this one; see ``cache``."""

# plain integers: numba would compile the kernel anew for the type of each enumeration
_HEIGHT, _LINE, _PITCH = int(CoreField.HEIGHT), int(CoreField.LINE), int(CoreField.PITCH)
_THRESHOLD, _FLOOR, _TO_ZERO = (
    int(CoreField.THRESHOLD),
    int(CoreField.FLOOR),
    int(CoreField.RETURN_TO_ZERO),
)
_REST, _MEMBRANE, _LINES = int(CoreField.REST), int(CoreField.MEMBRANE_AT), int(CoreField.LINE_AT)
_BIAS, _BIAS_PEAK = int(CoreField.BIAS_AT), int(CoreField.BIAS_PEAK)
_FIRST, _LAST = int(CoreField.FIRST_TARGET), int(CoreField.LAST_TARGET)
_SPIKES, _HISTORY = int(CoreField.SPIKES_AT), int(CoreField.HISTORY_AT)
_WEIGHT, _WEIGHT_STEP = int(CoreField.WEIGHT_AT), int(CoreField.WEIGHT_STEP)
_TO, _TO_ROW, _TO_COLUMN = (
    int(TargetField.CORE),
    int(TargetField.ROW_AT),
    int(TargetField.COLUMN_AT),
)
_ROW_FIRST, _ROW_COUNT, _ROW_WEIGHT = int(RowField.FIRST), int(RowField.COUNT), int(RowField.WEIGHT)
_AT_WEIGHT, _AT_MEMBRANE = int(ColumnField.WEIGHT), int(ColumnField.MEMBRANE)
_VECTORS, _SYNOPS, _PEAK = int(ColumnField.VECTORS), int(ColumnField.SYNOPS), int(ColumnField.PEAK)

_LOWEST, _HIGHEST = -32768, 32767


@inline_bare
def _magnitude(membranes, start, length):
    """Return the largest magnitude of a line of neurons."""
    largest, smallest = np.int64(0), np.int64(0)
    for i in range(start, start + length):
        largest = max(largest, np.int64(membranes[i]))
        smallest = min(smallest, np.int64(membranes[i]))
    return max(largest, -smallest)


@inline_bare
def _widen(line, start, length, more, limit, state):
    """Raise the bound of a line by ``more``; False where its sums may exceed the type."""
    bound = state.bounds[line] + more
    if bound > limit:
        bound = _magnitude(state.membranes, start, length) + more
    state.bounds[line] = min(bound, limit)
    return bound <= limit


@inline_bare
def _deliver(target, y, column, spikes, limit, tables, state):
    """Add ``spikes`` times the weights of one source address; False where they do not fit."""
    core = tables.targets[target, _TO]
    to = tables.cores[core]
    row = tables.rows[tables.targets[target, _TO_ROW] + y]
    run = tables.columns[tables.targets[target, _TO_COLUMN] + column]
    length, lines, fits = run[_VECTORS] * LANES, np.int64(row[_ROW_COUNT]), True
    if length == 0 or lines == 0:
        return True
    weight = to[_WEIGHT] + row[_ROW_WEIGHT] + run[_AT_WEIGHT]
    start = to[_MEMBRANE] + row[_ROW_FIRST] * to[_PITCH]
    more = spikes * run[_PEAK]
    for line in range(to[_LINES] + row[_ROW_FIRST], to[_LINES] + row[_ROW_FIRST] + lines):
        if state.bounds[line] + more > limit:
            fits &= _widen(line, start, to[_LINE], more, limit, state)
        else:
            state.bounds[line] += more
        state.touched[line] = 1
        for i in range(0, length, LANES):
            weights = lanes.load_as(tables.weights, weight + i, state.membranes)
            if spikes != 1:
                weights = lanes.multiply(weights, spikes)
            at = start + run[_AT_MEMBRANE] + i
            v = lanes.load(state.membranes, at)
            lanes.store(state.membranes, at, lanes.add(v, weights))
        weight -= to[_WEIGHT_STEP]
        start += to[_PITCH]
    state.synops[core] += lines * run[_SYNOPS] * spikes
    return fits


@inline_bare
def _fire(bits, core, step, row, start, offset, limit, tables, state):
    """Let those neurons of a line fire whose bits are set; ``start`` is the line's first neuron."""
    properties = tables.cores[core]
    threshold, fits = properties[_THRESHOLD], True
    while bits:
        column = offset + lanes.lowest(bits)
        bits &= bits - 1
        value = np.int64(state.membranes[start + column])
        state.saturations[core] += value > _HIGHEST
        value = min(value, np.int64(_HIGHEST))
        state.membranes[start + column] = value
        if value < threshold:
            continue
        fired = np.int64(1) if value < 2 * threshold else value // threshold
        state.membranes[start + column] = 0 if properties[_TO_ZERO] else value - fired * threshold
        state.counts[core] += fired
        if properties[_SPIKES] >= 0:
            line = (step * properties[_HEIGHT] + row) * properties[_LINE]
            state.spikes[properties[_SPIKES] + line + column] = fired
        for target in range(properties[_FIRST], properties[_LAST]):
            fits &= _deliver(target, row, column, fired, limit, tables, state)
    return fits


@inline_bare
def _settle(core, at, size, threshold, tables, state):
    """Raise (at most 32) neurons to the floor; return the bits of those that fire."""
    mine = (1 << max(0, min(size, LANES))) - 1
    v = lanes.load(state.membranes, at)
    state.saturations[core] += lanes.count(lanes.nonzero(lanes.below(v, _LOWEST)) & mine)
    v = lanes.maximum(v, tables.cores[core, _FLOOR])
    lanes.store(state.membranes, at, v)
    return lanes.nonzero(lanes.at_least(v, threshold)) & mine


@inline_bare
def _finish_line(core, step, row, limit, tables, state):
    """Update one line of neurons after the last weight was added."""
    properties = tables.cores[core]
    length, fits = properties[_LINE], True
    start = properties[_MEMBRANE] + row * properties[_PITCH]
    bound = properties[_LINES] + row
    if properties[_BIAS] >= 0:
        fits = _widen(bound, start, length, properties[_BIAS_PEAK], limit, state)
        for i in range(length):
            state.membranes[start + i] += tables.biases[properties[_BIAS] + i]
    threshold = min(properties[_THRESHOLD], np.int64(_HIGHEST))
    for offset in range(0, length, 2 * LANES):
        at = start + offset
        bits = _settle(core, at, length - offset, threshold, tables, state)
        bits |= (
            _settle(core, at + LANES, length - offset - LANES, threshold, tables, state) << LANES
        )
        if bits:
            fits &= _fire(bits, core, step, row, start, offset, limit, tables, state)
    state.bounds[bound] = min(state.bounds[bound], properties[_REST])
    return fits


@inline_bare
def record_membranes(core, step, tables, state):
    """Copy the membranes of a core to its history."""
    properties = tables.cores[core]
    to = properties[_HISTORY] + step * properties[_HEIGHT] * properties[_LINE]
    for row in range(properties[_HEIGHT]):
        start = properties[_MEMBRANE] + row * properties[_PITCH]
        for i in range(properties[_LINE]):
            state.history[to + i] = state.membranes[start + i]
        to += properties[_LINE]


@compiled_bare
def run(steps, events, limit, tables, state):
    """Simulate one sample into ``state``; False where a sum may have exceeded the membranes' type.

    events: (4, n) of step, y, channel * width + x, and count; steps ascending.
    limit: largest magnitude of the type of ``state.membranes``.
    """
    event, fits = 0, True
    for step in range(steps):
        while event < events.shape[1] and events[0, event] == step:
            y, column = np.int64(events[1, event]), np.int64(events[2, event])
            for target in range(tables.inputs[0], tables.inputs[1]):
                fits &= _deliver(
                    target, y, column, np.int64(events[3, event]), limit, tables, state
                )
            event += 1
        for core in range(tables.cores.shape[0]):
            lines = tables.cores[core, _LINES]
            for row in range(tables.cores[core, _HEIGHT]):
                if not state.touched[lines + row]:
                    continue
                # without a bias, a line changes only if weights are added; with one, in every step
                state.touched[lines + row] = tables.cores[core, _BIAS] >= 0
                fits &= _finish_line(core, step, row, limit, tables, state)
            if tables.cores[core, _HISTORY] >= 0:
                record_membranes(core, step, tables, state)
        if not fits:
            return False
    return True

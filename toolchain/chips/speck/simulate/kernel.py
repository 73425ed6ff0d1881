"""The compiled clocked simulation: the whole network and the whole input in one call.

It works event by event. A spike is turned into additions of weights at once, into the membranes
of each core it is sent to, and a core looks only at lines of neurons that something was added to.
The order of additions cannot matter: sums are exact integers and are clamped once, after the last.

Layouts, chosen so that one event touches few, long, contiguous runs:

- membranes [y][margin, x, margin][channel], one array for all cores. What an event at the border
  adds beyond it falls into the margins, which nobody looks at, so that every run is whole;
- weights [input channel][kernel y][phase][kernel x reversed][output channel]. With a stride s an
  event reaches only every s-th kernel column, those of one *phase*; kept together and reversed,
  they lie in the order of the neurons they are added to. Stride 1 has one phase. Each such run is
  filled up with zeros to whole vectors;
- pooling, strides and padding are in tables: for each connection, what a row and what a column of
  the source reaches.

Membranes have 16, 32 or 64 bits. For each line the kernel carries a bound on its sums along, looks
for the true one when the bound leaves the type, and gives up if that leaves it too: the caller
then takes the next type. So 16 bits do wherever nothing is clamped.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types, several sets of them.

from __future__ import annotations

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, inline_bare
from toolchain.chips.compiled.lanes import LANES
from toolchain.chips.speck.simulate.tables import Column, Core, Row, Target

__all__ = ["keep", "run"]

INLINED = "7c25f9166c0d"
"""Digest of the other files that are compiled into this one; see ``cache``."""

# Plain integers: to the compiler a member of an enumeration is a type of its own.
_HEIGHT, _LINE, _PITCH = int(Core.HEIGHT), int(Core.LINE), int(Core.PITCH)
_THRESHOLD, _FLOOR, _TO_ZERO = int(Core.THRESHOLD), int(Core.FLOOR), int(Core.RETURN_TO_ZERO)
_REST, _MEMBRANE, _LINES = int(Core.REST), int(Core.MEMBRANE_AT), int(Core.LINE_AT)
_BIAS, _BIAS_PEAK = int(Core.BIAS_AT), int(Core.BIAS_PEAK)
_FIRST, _LAST = int(Core.FIRST_TARGET), int(Core.LAST_TARGET)
_SPIKES, _HISTORY = int(Core.SPIKES_AT), int(Core.HISTORY_AT)
_WEIGHT, _WEIGHT_STEP = int(Core.WEIGHT_AT), int(Core.WEIGHT_STEP)
_TO, _TO_ROW, _TO_COLUMN = int(Target.CORE), int(Target.ROW_AT), int(Target.COLUMN_AT)
_ROW_FIRST, _ROW_COUNT, _ROW_WEIGHT = int(Row.FIRST), int(Row.COUNT), int(Row.WEIGHT)
_AT_WEIGHT, _AT_MEMBRANE = int(Column.WEIGHT), int(Column.MEMBRANE)
_VECTORS, _SYNOPS, _PEAK = int(Column.VECTORS), int(Column.SYNOPS), int(Column.PEAK)

_LOWEST, _HIGHEST = -32768, 32767


@inline_bare
def _magnitude(membranes, start, length):
    """The largest magnitude of a line of neurons."""
    largest, smallest = np.int64(0), np.int64(0)
    for i in range(start, start + length):
        largest = max(largest, np.int64(membranes[i]))
        smallest = min(smallest, np.int64(membranes[i]))
    return max(largest, -smallest)


@inline_bare
def _widen(line, start, length, more, limit, state):
    """Let the bound of a line grow by ``more``; False where its sums may leave the type."""
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
    """Let the neurons fire whose bits are set, of a line that begins at ``start``."""
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
    """Raise (at most 32) neurons to the floor; the bits of those that fire."""
    mine = (1 << max(0, min(size, LANES))) - 1
    v = lanes.load(state.membranes, at)
    state.saturations[core] += lanes.count(lanes.nonzero(lanes.below(v, _LOWEST)) & mine)
    v = lanes.maximum(v, tables.cores[core, _FLOOR])
    lanes.store(state.membranes, at, v)
    return lanes.nonzero(lanes.at_least(v, threshold)) & mine


@inline_bare
def _finish_line(core, step, row, limit, tables, state):
    """Everything that happens to one line of neurons after the last weight was added."""
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
def keep(core, step, tables, state):
    """The membranes of a core into its history."""
    properties = tables.cores[core]
    to = properties[_HISTORY] + step * properties[_HEIGHT] * properties[_LINE]
    for row in range(properties[_HEIGHT]):
        start = properties[_MEMBRANE] + row * properties[_PITCH]
        for i in range(properties[_LINE]):
            state.history[to + i] = state.membranes[start + i]
        to += properties[_LINE]


@compiled_bare
def run(steps, events, limit, tables, state):
    """Simulate one sample; fills ``state``. False where a sum may have left the membranes' type.

    events: (4, n) of step, y, channel * width + x, and count; steps ascending.
    limit: largest magnitude that the type of ``state.membranes`` holds.
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
                # What nothing was added to keeps still; with a bias no neuron is left alone.
                state.touched[lines + row] = tables.cores[core, _BIAS] >= 0
                fits &= _finish_line(core, step, row, limit, tables, state)
            if tables.cores[core, _HISTORY] >= 0:
                keep(core, step, tables, state)
        if not fits:
            return False
    return True

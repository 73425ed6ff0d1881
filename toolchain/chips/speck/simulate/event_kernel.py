"""The compiled event simulation: one core with its whole stream of events in a call.

Connections are feed-forward, so a core can process its whole stream before the next one starts;
streams are in the order of the input events that caused them.

A core finishes an event before the next. Each neuron that the event reaches is updated once and
fires at most once, so its neurons can be updated together, 32 at a time, and only those that fire
or exceed 16 bits are processed one by one.

Layouts are those of ``kernel``; membranes have 32 bits, so that no sum overflows.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types.

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, inline_bare
from toolchain.chips.compiled.lanes import LANES
from toolchain.chips.speck.simulate.kernel import record_membranes
from toolchain.chips.speck.simulate.tables import ColumnField, CoreField, RowField, TargetField

__all__ = ["ArrivalField", "CursorField", "KernelOptions", "SpikeField", "run_core"]

INLINED = "1c9d891106e4"
"""Digest of the other files that are compiled into this one; see ``cache``."""


class ArrivalField(IntEnum):
    """Rows of the table of events that a core receives: row of ``targets``, moment and address."""

    TARGET = 0
    MOMENT = 1
    Y = 2
    COLUMN = 3


class SpikeField(IntEnum):
    """Rows of the table of spikes that a core sends: moment, line and neuron of the line."""

    MOMENT = 0
    Y = 1
    COLUMN = 2


class CursorField(IntEnum):
    """Progress of a core."""

    STEP = 0
    TICKED = 1
    ARRIVAL = 2
    FOUND = 3


class KernelOptions(NamedTuple):
    """``EventOptions`` as the kernel reads them."""

    by_channel: bool
    wrap: bool
    zero_weights: bool
    leak_fires: bool
    leak_first: bool


_LINE, _PITCH, _HEIGHT = int(CoreField.LINE), int(CoreField.PITCH), int(CoreField.HEIGHT)
_THRESHOLD, _FLOOR, _TO_ZERO = (
    int(CoreField.THRESHOLD),
    int(CoreField.FLOOR),
    int(CoreField.RETURN_TO_ZERO),
)
_MEMBRANE, _BIAS, _CHANNELS = (
    int(CoreField.MEMBRANE_AT),
    int(CoreField.BIAS_AT),
    int(CoreField.CHANNELS),
)
_WEIGHT, _WEIGHT_STEP = int(CoreField.WEIGHT_AT), int(CoreField.WEIGHT_STEP)
_SPIKES, _HISTORY = int(CoreField.SPIKES_AT), int(CoreField.HISTORY_AT)
_TO_ROW, _TO_COLUMN = int(TargetField.ROW_AT), int(TargetField.COLUMN_AT)
_ROW_FIRST, _ROW_COUNT, _ROW_WEIGHT = int(RowField.FIRST), int(RowField.COUNT), int(RowField.WEIGHT)
_AT_WEIGHT, _AT_MEMBRANE, _SYNOPS = (
    int(ColumnField.WEIGHT),
    int(ColumnField.MEMBRANE),
    int(ColumnField.SYNOPS),
)
_TARGET, _MOMENT, _Y, _X = (int(field) for field in ArrivalField)
_OUT_MOMENT, _OUT_Y, _OUT_X = (int(field) for field in SpikeField)
_STEP, _TICKED, _ARRIVAL, _FOUND = (int(field) for field in CursorField)

_LOWEST, _HIGHEST = -32768, 32767


@inline_bare
def _limited(value, core, rules, state):
    """Limit a sum to 16 bits, and count it if it does not fit."""
    if _LOWEST <= value <= _HIGHEST:
        return value
    state.saturations[core] += 1
    if rules.wrap:
        return (value + 32768) % 65536 - 32768
    return min(max(value, np.int64(_LOWEST)), np.int64(_HIGHEST))


@inline_bare
def _spike(core, step, moment, row, column, at, tables, state, spikes, cursor):
    """Let one neuron fire once."""
    properties = tables.cores[core]
    if properties[_TO_ZERO]:
        state.membranes[at] = 0
    else:
        state.membranes[at] -= properties[_THRESHOLD]
    found = cursor[_FOUND]
    spikes[_OUT_MOMENT, found] = moment
    spikes[_OUT_Y, found] = row
    spikes[_OUT_X, found] = column
    cursor[_FOUND] = found + 1
    state.counts[core] += 1
    if properties[_SPIKES] >= 0:
        line = (step * properties[_HEIGHT] + row) * properties[_LINE]
        state.spikes[properties[_SPIKES] + line + column] += 1


@inline_bare
def _add_singly(core, at, mine, weight, rules, tables, state):
    """Add weights to some of 32 neurons one by one, because some sums exceed 16 bits."""
    while mine:
        i = lanes.lowest(mine)
        mine &= mine - 1
        value = np.int64(state.membranes[at + i]) + np.int64(tables.weights[weight + i])
        value = _limited(value, core, rules, state)
        state.membranes[at + i] = max(value, tables.cores[core, _FLOOR])


@inline_bare
def _update(core, step, moment, row, column, weight, size, rules, tables, state, spikes, cursor):
    """Add ``size`` weights to the neurons of a line from ``column`` on, and let them fire."""
    properties = tables.cores[core]
    start = properties[_MEMBRANE] + row * properties[_PITCH]
    for offset in range(column, column + size, LANES):
        mine = (1 << min(column + size - offset, LANES)) - 1
        weights = lanes.load_as(tables.weights, weight, state.membranes)
        if not rules.zero_weights:
            mine &= lanes.nonzero(weights)
        at = start + offset
        before = lanes.load(state.membranes, at)
        sums = lanes.add(before, weights)
        beyond = lanes.either(lanes.below(sums, _LOWEST), lanes.greater(sums, _HIGHEST))
        if lanes.nonzero(beyond) & mine:
            _add_singly(core, at, mine, weight, rules, tables, state)
        else:
            after = lanes.maximum(sums, properties[_FLOOR])
            lanes.store(state.membranes, at, lanes.blend(mine, after, before))
        v = lanes.load(state.membranes, at)
        bits = lanes.nonzero(lanes.at_least(v, properties[_THRESHOLD])) & mine
        while bits:
            i = lanes.lowest(bits)
            bits &= bits - 1
            _spike(core, step, moment, row, offset + i, at + i, tables, state, spikes, cursor)
        weight += LANES


@inline_bare
def _sort_by_channel(spikes, first, last, channels):
    """Sort a few spikes of one moment by channel, y and x."""
    for i in range(first + 1, last):
        y, column = spikes[_OUT_Y, i], spikes[_OUT_X, i]
        j = i
        while j > first and spikes[_OUT_X, j - 1] % channels > column % channels:
            spikes[_OUT_Y, j] = spikes[_OUT_Y, j - 1]
            spikes[_OUT_X, j] = spikes[_OUT_X, j - 1]
            j -= 1
        spikes[_OUT_Y, j], spikes[_OUT_X, j] = y, column


@inline_bare
def _process_event(core, step, arrival, rules, tables, state, spikes, cursor):
    """Apply one event to all neurons that it reaches."""
    properties, target = tables.cores[core], tables.targets[arrival[_TARGET]]
    row = tables.rows[target[_TO_ROW] + arrival[_Y]]
    run = tables.columns[target[_TO_COLUMN] + arrival[_X]]
    size, lines, first = np.int64(run[_SYNOPS]), np.int64(row[_ROW_COUNT]), cursor[_FOUND]
    if size == 0 or lines == 0:
        return
    column = max(np.int64(0), np.int64(run[_AT_MEMBRANE]))
    weight = properties[_WEIGHT] + row[_ROW_WEIGHT] + run[_AT_WEIGHT] + column - run[_AT_MEMBRANE]
    for line in range(row[_ROW_FIRST], row[_ROW_FIRST] + lines):
        _update(
            core, step, arrival[_MOMENT], line, column, weight, size,
            rules, tables, state, spikes, cursor,
        )  # fmt: skip
        weight -= properties[_WEIGHT_STEP]
    state.synops[core] += lines * size
    if rules.by_channel:
        _sort_by_channel(spikes, first, cursor[_FOUND], properties[_CHANNELS])


@inline_bare
def _tick(core, step, moment, rules, tables, state, spikes, cursor):
    """Add the bias of its channel to every neuron: one tick of the slow clock."""
    properties = tables.cores[core]
    passes = properties[_CHANNELS] if rules.by_channel else np.int64(1)
    for single in range(passes):
        for row in range(properties[_HEIGHT]):
            start = properties[_MEMBRANE] + row * properties[_PITCH]
            for column in range(single, properties[_LINE], passes):
                bias = np.int64(tables.biases[properties[_BIAS] + column])
                value = np.int64(state.membranes[start + column]) + bias
                value = max(_limited(value, core, rules, state), properties[_FLOOR])
                state.membranes[start + column] = value
                if rules.leak_fires and value >= properties[_THRESHOLD]:
                    _spike(
                        core, step, moment, row, column, start + column,
                        tables, state, spikes, cursor,
                    )  # fmt: skip


@compiled_bare
def run_core(core, arrivals, moments, rules, tables, state, spikes, cursor):
    """Continue one core; False where ``spikes`` may be full before the next event or tick.

    arrivals: (4, n) of ``ArrivalField``, in order.
    moments: the first moment of each step, and one more; a step's tick is its first or its last.
    spikes: (3, size) of ``SpikeField``, filled from ``cursor`` on; ``size`` above the neurons.
    cursor: ``CursorField``, zeros at the start.
    """
    neurons = tables.cores[core, _HEIGHT] * tables.cores[core, _LINE]
    room = spikes.shape[1] - neurons
    while cursor[_STEP] < moments.size - 1:
        step = cursor[_STEP]
        stop = moments[step + 1]
        tick = moments[step] if rules.leak_first else stop - 1
        at = cursor[_ARRIVAL]
        while at < arrivals.shape[1] and arrivals[_MOMENT, at] < stop:
            if not cursor[_TICKED] and arrivals[_MOMENT, at] >= tick:
                break
            if cursor[_FOUND] > room:
                return False
            _process_event(core, step, arrivals[:, at], rules, tables, state, spikes, cursor)
            at += 1
            cursor[_ARRIVAL] = at
        if not cursor[_TICKED]:
            if cursor[_FOUND] > room:
                return False
            if tables.cores[core, _BIAS] >= 0:
                _tick(core, step, tick, rules, tables, state, spikes, cursor)
            cursor[_TICKED] = 1
            continue
        if tables.cores[core, _HISTORY] >= 0:
            record_membranes(core, step, tables, state)
        cursor[_TICKED] = 0
        cursor[_STEP] = step + 1
    return True

"""The compiled event simulation: one core with its whole stream of events in a call.

Connections are feed-forward, so a core can process its whole stream before the next one starts;
streams are in the order of the input events that caused them.

A core finishes an event before the next. Each neuron that the event reaches is updated once and
fires at most once, so its neurons can be updated together, 32 at a time, and only those that fire
or exceed 16 bits are processed one by one.

Layouts are those of ``kernel``; membranes have 16 bits, as each sum is limited to them at once.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types.

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, part_bare
from toolchain.chips.compiled.lanes import get, pointer, put
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.simulate.frame import FrameField
from toolchain.chips.speck.simulate.kernel import record_membranes
from toolchain.chips.speck.simulate.tables import ColumnField, CoreField, RowField, TargetField

__all__ = ["ArrivalField", "CursorField", "KernelOptions", "SpikeField", "run_core"]

INLINED = "50c2d3d5e0d5"
"""Digest of the other files that are compiled into this one; see ``cache``."""


class ArrivalField(IntEnum):
    """Rows of the table of events that a core receives: row of ``targets``, moment and address."""

    TARGET = 0
    MOMENT = 1
    Y = 2
    COLUMN = 3


class SpikeField(IntEnum):
    """Rows of the table of spikes that a core sends: moment, line and neuron of the line.

    The first row is free, so that the table can be that of the events that another core receives.
    """

    MOMENT = 1
    Y = 2
    COLUMN = 3


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


_CORES, _TARGETS = int(FrameField.CORES), int(FrameField.TARGETS)
_ROWS, _COLUMNS = int(FrameField.ROWS), int(FrameField.COLUMNS)
_WEIGHTS, _BIASES, _MEMBRANES = (
    int(FrameField.WEIGHTS),
    int(FrameField.BIASES),
    int(FrameField.MEMBRANES),
)
_SPIKE_RECORD, _SPIKE_COUNTS = int(FrameField.SPIKES), int(FrameField.COUNTS)
_SATURATIONS, _SYNOP_COUNTS = int(FrameField.SATURATIONS), int(FrameField.SYNOPS)
_EVENTS, _EVENT_SIZE = int(FrameField.EVENTS), int(FrameField.EVENT_SIZE)
_SENT, _SENT_SIZE = int(FrameField.SENT), int(FrameField.SENT_SIZE)
_MOMENTS = int(FrameField.MOMENTS)

_CORE, _TARGET = len(CoreField), len(TargetField)
_ROW, _COLUMN = len(RowField), len(ColumnField)
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
_RECORD, _HISTORY = int(CoreField.SPIKES_AT), int(CoreField.HISTORY_AT)
_TO_ROW, _TO_COLUMN = int(TargetField.ROW_AT), int(TargetField.COLUMN_AT)
_ROW_FIRST, _ROW_COUNT, _ROW_WEIGHT = int(RowField.FIRST), int(RowField.COUNT), int(RowField.WEIGHT)
_AT_WEIGHT, _AT_MEMBRANE = int(ColumnField.WEIGHT), int(ColumnField.MEMBRANE)
_COLUMN_FIRST, _SYNOPS = int(ColumnField.FIRST), int(ColumnField.SYNOPS)
_MOMENT, _Y, _X = int(ArrivalField.MOMENT), int(ArrivalField.Y), int(ArrivalField.COLUMN)
_STEP, _TICKED, _ARRIVAL, _FOUND = (int(field) for field in CursorField)

_LOWEST, _HIGHEST, _ALL = -32768, 32767, 2**LANES - 1
_I8, _I16, _I32, _I64 = np.int8(0), np.int16(0), np.int32(0), np.int64(0)


@part_bare
def _add_singly(core, at, mine, weights, at_weight, wrap, frame):
    """Add weights to some of 32 neurons one by one, because some sums exceed 16 bits."""
    membranes, saturations = pointer(frame, _MEMBRANES, _I16), pointer(frame, _SATURATIONS, _I64)
    floor = get(pointer(frame, _CORES, _I64), core * _CORE + _FLOOR)
    while mine:
        i = lanes.lowest(mine)
        mine &= mine - 1
        value = get(membranes, at + i) + get(weights, at_weight + i)
        if value < _LOWEST or value > _HIGHEST:
            put(saturations, core, get(saturations, core) + 1)
            if wrap:
                value = (value + 32768) % 65536 - 32768
            value = min(max(value, _LOWEST), _HIGHEST)
        put(membranes, at + i, max(value, floor))


@part_bare
def _fire(core, step, moment, row, column, at, found, frame):
    """Let one neuron fire once."""
    to, cores = core * _CORE, pointer(frame, _CORES, _I64)
    membranes, sent = pointer(frame, _MEMBRANES, _I16), pointer(frame, _SENT, _I32)
    size, record = get(frame, _SENT_SIZE), get(cores, to + _RECORD)
    left = get(membranes, at) - get(cores, to + _THRESHOLD)
    put(membranes, at, 0 if get(cores, to + _TO_ZERO) else left)
    put(sent, _MOMENT * size + found, moment)
    put(sent, _Y * size + found, row)
    put(sent, _X * size + found, column)
    if record >= 0:
        spikes = pointer(frame, _SPIKE_RECORD, _I32)
        line = (step * get(cores, to + _HEIGHT) + row) * get(cores, to + _LINE)
        put(spikes, record + line + column, get(spikes, record + line + column) + 1)


@part_bare
def _sort_by_channel(core, first, last, frame):
    """Sort a few spikes of one moment by channel, y and x."""
    channels = get(pointer(frame, _CORES, _I64), core * _CORE + _CHANNELS)
    sent, size = pointer(frame, _SENT, _I32), get(frame, _SENT_SIZE)
    lines, columns = _Y * size, _X * size
    for i in range(first + 1, last):
        y, column, j = get(sent, lines + i), get(sent, columns + i), i
        while j > first and get(sent, columns + j - 1) % channels > column % channels:
            put(sent, lines + j, get(sent, lines + j - 1))
            put(sent, columns + j, get(sent, columns + j - 1))
            j -= 1
        put(sent, lines + j, y)
        put(sent, columns + j, column)


@part_bare
def _tick(core, step, moment, rules, found, frame):
    """Add the bias of its channel to every neuron: one tick of the slow clock.

    Returns the number of spikes sent so far.
    """
    to, cores = core * _CORE, pointer(frame, _CORES, _I64)
    biases, membranes = pointer(frame, _BIASES, _I16), pointer(frame, _MEMBRANES, _I16)
    threshold, length = get(cores, to + _THRESHOLD), get(cores, to + _LINE)
    passes = get(cores, to + _CHANNELS) if rules.by_channel else np.int64(1)
    for single in range(passes):
        for row in range(get(cores, to + _HEIGHT)):
            start = get(cores, to + _MEMBRANE) + row * get(cores, to + _PITCH)
            for column in range(single, length, passes):
                at, bias = start + column, get(cores, to + _BIAS) + column
                _add_singly(core, at, 1, biases, bias, rules.wrap, frame)
                if rules.leak_fires and get(membranes, at) >= threshold:
                    _fire(core, step, moment, row, column, at, found, frame)
                    found += 1
    return found


@part_bare
def _process(core, step, first, stop, until, rules, found, frame):  # noqa: C901
    """Apply events from ``first`` on, one after the other, to the neurons that they reach.

    Up to the event ``stop``, the moment ``until``, or until the table of spikes may be full.
    Returns the next event, and the number of spikes sent so far.
    """
    cores, targets = pointer(frame, _CORES, _I64), pointer(frame, _TARGETS, _I64)
    rows, columns = pointer(frame, _ROWS, _I32), pointer(frame, _COLUMNS, _I32)
    weights, membranes = pointer(frame, _WEIGHTS, _I8), pointer(frame, _MEMBRANES, _I16)
    events, size = pointer(frame, _EVENTS, _I32), get(frame, _EVENT_SIZE)
    synop_counts = pointer(frame, _SYNOP_COUNTS, _I64)
    to, synops = core * _CORE, np.int64(0)
    threshold, floor = get(cores, to + _THRESHOLD), get(cores, to + _FLOOR)
    membrane, pitch = get(cores, to + _MEMBRANE), get(cores, to + _PITCH)
    weight_at, weight_step = get(cores, to + _WEIGHT), get(cores, to + _WEIGHT_STEP)
    height, line_length = get(cores, to + _HEIGHT), get(cores, to + _LINE)
    sent, sent_size = pointer(frame, _SENT, _I32), get(frame, _SENT_SIZE)
    record, spikes = get(cores, to + _RECORD), pointer(frame, _SPIKE_RECORD, _I32)
    kept = np.int64(0) if get(cores, to + _TO_ZERO) else np.int64(-1)
    room = sent_size - height * line_length
    event = first
    while event < stop and get(events, _MOMENT * size + event) < until and found <= room:
        moment, of = get(events, _MOMENT * size + event), get(events, event) * _TARGET
        row = get(targets, of + _TO_ROW) + get(events, _Y * size + event) * _ROW
        column = get(targets, of + _TO_COLUMN) + get(events, _X * size + event) * _COLUMN
        event += 1
        length, lines = get(columns, column + _SYNOPS), get(rows, row + _ROW_COUNT)
        start, before = get(columns, column + _COLUMN_FIRST), found
        weight = weight_at + get(rows, row + _ROW_WEIGHT) + get(columns, column + _AT_WEIGHT)
        weight += start - get(columns, column + _AT_MEMBRANE)
        line = get(rows, row + _ROW_FIRST)
        for y in range(line, line + lines):
            for offset in range(0, length, LANES):
                mine = (1 << min(length - offset, LANES)) - 1
                at = membrane + y * pitch + start + offset
                added = lanes.load_as(weights, weight + offset, membranes)
                if not rules.zero_weights:
                    mine &= lanes.nonzero(added)
                old = lanes.load(membranes, at)
                v = lanes.add_saturating(old, added)
                beyond = lanes.not_equal(v, lanes.add(old, added))
                v = lanes.maximum(v, floor)
                fires = lanes.at_least(v, threshold)
                bits = lanes.nonzero(lanes.either(fires, beyond)) & mine
                if mine != _ALL:
                    v = lanes.blend(mine, v, old)
                if bits == 0:
                    lanes.store(membranes, at, v)
                    continue
                if lanes.nonzero(beyond) & mine:
                    _add_singly(core, at, mine, weights, weight + offset, rules.wrap, frame)
                    v = lanes.load(membranes, at)
                    bits = lanes.nonzero(lanes.at_least(v, threshold)) & mine
                if threshold > _HIGHEST:
                    bits = 0
                left = lanes.both(lanes.subtract(v, threshold), kept)
                lanes.store(membranes, at, lanes.blend(bits, left, v))
                neuron = start + offset
                while bits:
                    i = neuron + lanes.lowest(bits)
                    bits &= bits - 1
                    put(sent, _MOMENT * sent_size + found, moment)
                    put(sent, _Y * sent_size + found, y)
                    put(sent, _X * sent_size + found, i)
                    found += 1
                    if record >= 0:
                        spike = record + (step * height + y) * line_length + i
                        put(spikes, spike, get(spikes, spike) + 1)
            weight += weight_step
        synops += lines * length
        if rules.by_channel:
            _sort_by_channel(core, before, found, frame)
    put(synop_counts, core, get(synop_counts, core) + synops)
    return event, found


@compiled_bare(title="the event simulator of Speck", seconds=3)
def run_core(core, steps, arriving, rules, frame, cursor):
    """Continue one core; False where its table of spikes may be full before the next event or tick.

    steps: number of steps. ``moments`` of the frame has the first moment of each, and one more; a
    step's tick is its first or its last.
    arriving: number of events in ``events`` of the frame, rows of ``ArrivalField``, in order.
    cursor: ``CursorField``, zeros at the start. Spikes are added to ``sent`` of the frame, rows of
    ``SpikeField`` with more entries than the core has neurons.
    """
    cores, moments = pointer(frame, _CORES, _I64), pointer(frame, _MOMENTS, _I64)
    counts, to = pointer(frame, _SPIKE_COUNTS, _I64), core * _CORE
    room = get(frame, _SENT_SIZE) - get(cores, to + _HEIGHT) * get(cores, to + _LINE)
    arrival, found = get(cursor, _ARRIVAL), get(cursor, _FOUND)
    ticked, full = get(cursor, _TICKED), False
    step, begin = get(cursor, _STEP), found
    while step < steps:
        stop = get(moments, step + 1)
        tick = get(moments, step) if rules.leak_first else stop - 1
        until = stop if ticked else tick
        arrival, found = _process(core, step, arrival, arriving, until, rules, found, frame)
        full = found > room
        if full:
            break
        if not ticked:
            if get(cores, to + _BIAS) >= 0:
                found = _tick(core, step, tick, rules, found, frame)
            ticked = 1
            continue
        if get(cores, to + _HISTORY) >= 0:
            record_membranes(core, step, _I16, frame)
        ticked = 0
        step += 1
    put(cursor, _STEP, step)
    put(cursor, _TICKED, ticked)
    put(cursor, _ARRIVAL, arrival)
    put(cursor, _FOUND, found)
    put(counts, core, get(counts, core) + found - begin)
    return not full

"""The compiled clocked simulation: the whole network and the whole input in one call.

In each step, core after core, the spikes of its sources are added to the membranes, and then the
lines of neurons that weights were added to are updated. The order of additions has no effect: sums
are exact integers and are clamped once, after the last. For each connection, the number of spikes
decides whether they are added one by one, or counts are multiplied with all weights (``dense``).

Layouts, chosen so that one event touches few, long, contiguous runs:

- membranes [margin, y, margin][margin, x, margin][channel], one array for all cores. Additions of
  an event beyond the border go to the margins, which are never read, so that every run is whole and
  every event of a connection reaches the same number of lines: loops of equal length are predicted;
- weights [input channel][phase][kernel y reversed][phase][kernel x reversed][output channel]. With
  a stride s an event reaches only every s-th kernel row and column, those of one *phase*; kept
  together and reversed, they are in the order of the neurons they are added to. Stride 1 has one
  phase. Each such run is padded with zeros to whole vectors;
- pooling, strides and padding are in tables: for each connection, the neurons that a row and a
  column of the source reach;
- spikes of a step are queued, core by core, in the form of the input events.

Membranes have 16, 32 or 64 bits. For each core the kernel tracks a bound on its sums, computes the
exact maximum when the bound exceeds the type, and stops if that exceeds it too: the caller then
uses the next type. So 16 bits suffice wherever nothing is clamped.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types, several sets of them.

from __future__ import annotations

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, part_bare
from toolchain.chips.compiled.lanes import get, pointer, put
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.simulate.dense import convolve, count_spikes
from toolchain.chips.speck.simulate.frame import FrameField
from toolchain.chips.speck.simulate.tables import ColumnField, CoreField, RowField, TargetField

__all__ = ["record_membranes", "run"]

INLINED = "c6d013fc406a"
"""Digest of the other files that are compiled into this one; see ``cache``."""

# plain integers: numba would compile the kernel anew for the type of each enumeration
_CORES, _CORE_COUNT = int(FrameField.CORES), int(FrameField.CORE_COUNT)
_TARGETS, _ROWS, _COLUMNS = (
    int(FrameField.TARGETS),
    int(FrameField.ROWS),
    int(FrameField.COLUMNS),
)
_WEIGHTS, _BIASES = int(FrameField.WEIGHTS), int(FrameField.BIASES)
_MEMBRANES, _BOUNDS, _TOUCHED = (
    int(FrameField.MEMBRANES),
    int(FrameField.BOUNDS),
    int(FrameField.TOUCHED),
)
_EVENTS, _EVENT_SIZE = int(FrameField.EVENTS), int(FrameField.EVENT_SIZE)
_QUEUED, _QUEUE_SIZE = int(FrameField.QUEUE), int(FrameField.QUEUE_SIZE)
_SPIKE_RECORD, _HISTORY_RECORD = int(FrameField.SPIKES), int(FrameField.HISTORY)
_SATURATIONS, _SYNOP_COUNTS, _SPIKE_COUNTS = (
    int(FrameField.SATURATIONS),
    int(FrameField.SYNOPS),
    int(FrameField.COUNTS),
)
_CORE, _TARGET = len(CoreField), len(TargetField)
_HEIGHT, _LINE, _PITCH = int(CoreField.HEIGHT), int(CoreField.LINE), int(CoreField.PITCH)
_THRESHOLD, _FLOOR, _TO_ZERO = (
    int(CoreField.THRESHOLD),
    int(CoreField.FLOOR),
    int(CoreField.RETURN_TO_ZERO),
)
_REST, _MEMBRANE, _LINES = int(CoreField.REST), int(CoreField.MEMBRANE_AT), int(CoreField.LINE_AT)
_BIAS, _BIAS_PEAK = int(CoreField.BIAS_AT), int(CoreField.BIAS_PEAK)
_FIRST, _LAST = int(CoreField.FIRST_SOURCE), int(CoreField.LAST_SOURCE)
_SPIKES, _HISTORY = int(CoreField.SPIKES_AT), int(CoreField.HISTORY_AT)
_WEIGHT, _WEIGHT_STEP = int(CoreField.WEIGHT_AT), int(CoreField.WEIGHT_STEP)
_QUEUE = int(CoreField.QUEUE_AT)
_SOURCE, _DENSE_FROM = int(TargetField.SOURCE), int(TargetField.DENSE_FROM)
_TO_ROW, _TO_COLUMN = int(TargetField.ROW_AT), int(TargetField.COLUMN_AT)
_ROW, _COLUMN = len(RowField), len(ColumnField)
_ROW_FIRST, _ROW_COUNT = int(RowField.FIRST), int(RowField.COUNT)
_ROW_START, _ROW_LINES, _ROW_WEIGHT = (
    int(RowField.START),
    int(RowField.LINES),
    int(RowField.START_WEIGHT),
)
_AT_WEIGHT, _AT_MEMBRANE = int(ColumnField.WEIGHT), int(ColumnField.MEMBRANE)
_VECTORS, _SYNOPS, _PEAK = int(ColumnField.VECTORS), int(ColumnField.SYNOPS), int(ColumnField.PEAK)
_PARTS, _PART = int(ColumnField.TOUCHED), int(CoreField.PART)

_LOWEST, _HIGHEST = -32768, 32767
_I8, _I16, _I32, _I64 = np.int8(0), np.int16(0), np.int32(0), np.int64(0)
_U32 = np.uint32(0)


@part_bare
def _magnitude(membranes, start, pitch, length, lines):
    """Return the largest magnitude of some lines of neurons."""
    largest, smallest = np.int64(0), np.int64(0)
    for line in range(lines):
        for i in range(length):
            value = get(membranes, start + line * pitch + i)
            largest = max(largest, value)
            smallest = min(smallest, value)
    return max(largest, -smallest)


@part_bare
def _add_weights(core, target, queue, size, first, last, limit, frame):
    """Add the weights of all spikes of a source; False where the sums do not fit.

    queue: rows of ``size`` of ``QueueField``, of which the spikes ``first`` to ``last`` are added.
    """
    cores, targets = pointer(frame, _CORES, _I64), pointer(frame, _TARGETS, _I64)
    row_table, column_table = pointer(frame, _ROWS, _I32), pointer(frame, _COLUMNS, _I32)
    all_weights, membranes = pointer(frame, _WEIGHTS, _I8), pointer(frame, _MEMBRANES, limit)
    bounds, synop_counts = pointer(frame, _BOUNDS, _I64), pointer(frame, _SYNOP_COUNTS, _I64)
    touched = pointer(frame, _TOUCHED, _U32)
    to, of = core * _CORE, target * _TARGET
    membrane, pitch = get(cores, to + _MEMBRANE), get(cores, to + _PITCH)
    length, height = get(cores, to + _LINE), get(cores, to + _HEIGHT)
    weight_at, step = get(cores, to + _WEIGHT), get(cores, to + _WEIGHT_STEP)
    first_line = get(cores, to + _LINES)
    rows, columns = get(targets, of + _TO_ROW), get(targets, of + _TO_COLUMN)
    fits, exact, synops, bound = True, False, np.int64(0), get(bounds, core)
    for event in range(first, last):
        row = rows + get(queue, size + event) * _ROW
        column = columns + get(queue, 2 * size + event) * _COLUMN
        count = get(queue, 3 * size + event)
        lines, vectors = get(row_table, row + _ROW_LINES), get(column_table, column + _VECTORS)
        if lines * vectors == 0:
            continue
        more = count * get(column_table, column + _PEAK)
        bound += more
        if bound > limit:
            if not exact:
                bound = _magnitude(membranes, membrane, pitch, length, height) + more
                exact = bound > limit
            if exact:
                start = membrane + get(row_table, row + _ROW_FIRST) * pitch
                reached = get(row_table, row + _ROW_COUNT)
                largest = _magnitude(membranes, start, pitch, length, reached)
                fits = fits and largest + more <= limit
        weight = weight_at + get(row_table, row + _ROW_WEIGHT)
        weight += get(column_table, column + _AT_WEIGHT)
        line = get(row_table, row + _ROW_START)
        at = membrane + line * pitch + get(column_table, column + _AT_MEMBRANE)
        parts = get(column_table, column + _PARTS)
        for i in range(first_line + line, first_line + line + lines):
            put(touched, i, get(touched, i) | parts)
            for vector in range(vectors):
                weights = lanes.load_as(all_weights, weight + vector * LANES, membranes)
                if count != 1:
                    weights = lanes.multiply(weights, count)
                v = lanes.load(membranes, at + vector * LANES)
                lanes.store(membranes, at + vector * LANES, lanes.add(v, weights))
            weight += step
            at += pitch
        reached = get(row_table, row + _ROW_COUNT) * get(column_table, column + _SYNOPS)
        synops += reached * count
    put(bounds, core, bound)
    put(synop_counts, core, get(synop_counts, core) + synops)
    return fits


@part_bare
def _add_biases(core, limit, frame):
    """Add the bias to each neuron of a core; False where the sums do not fit."""
    cores, bounds = pointer(frame, _CORES, _I64), pointer(frame, _BOUNDS, _I64)
    biases, membranes = pointer(frame, _BIASES, _I16), pointer(frame, _MEMBRANES, limit)
    touched, to = pointer(frame, _TOUCHED, _U32), core * _CORE
    length, height = get(cores, to + _LINE), get(cores, to + _HEIGHT)
    start, pitch = get(cores, to + _MEMBRANE), get(cores, to + _PITCH)
    peak = get(cores, to + _BIAS_PEAK)
    bound = get(bounds, core) + peak
    if bound > limit:
        bound = _magnitude(membranes, start, pitch, length, height) + peak
    put(bounds, core, bound)
    for row in range(height):
        put(touched, get(cores, to + _LINES) + row, -1)
        for i in range(0, length, LANES):
            bias = lanes.load_as(biases, get(cores, to + _BIAS) + i, membranes)
            v = lanes.load(membranes, start + row * pitch + i)
            lanes.store(membranes, start + row * pitch + i, lanes.add(v, bias))
    return bound <= limit


@part_bare
def _finish(core, step, limit, frame):
    """Update the lines of a core that weights were added to; queue their spikes."""
    cores, membranes = pointer(frame, _CORES, _I64), pointer(frame, _MEMBRANES, limit)
    all_touched, queue = pointer(frame, _TOUCHED, _U32), pointer(frame, _QUEUED, _I32)
    record, bounds = pointer(frame, _SPIKE_RECORD, _I32), pointer(frame, _BOUNDS, _I64)
    counts = pointer(frame, _SPIKE_COUNTS, _I64)
    saturations = pointer(frame, _SATURATIONS, _I64)
    to, size = core * _CORE, get(frame, _QUEUE_SIZE)
    threshold, floor = get(cores, to + _THRESHOLD), get(cores, to + _FLOOR)
    to_zero, length = get(cores, to + _TO_ZERO), get(cores, to + _LINE)
    height, pitch = get(cores, to + _HEIGHT), get(cores, to + _PITCH)
    touched, spikes = get(cores, to + _LINES), get(cores, to + _SPIKES)
    start, first = get(cores, to + _MEMBRANE), get(cores, to + _QUEUE)
    found, total, saturated = first, np.int64(0), np.int64(0)
    part, kept = get(cores, to + _PART), np.int64(0) if to_zero else np.int64(-1)
    every = (1 << ((length + part - 1) // part)) - 1
    for row in range(height):
        parts = get(all_touched, touched + row) & every
        put(all_touched, touched + row, 0)
        while parts:
            begin = lanes.lowest(parts) * part
            parts &= parts - 1
            for offset in range(begin, min(begin + part, length), LANES):
                at = start + row * pitch + offset
                v = lanes.load(membranes, at)
                beyond = lanes.either(lanes.below(v, _LOWEST), lanes.greater(v, _HIGHEST))
                mine = (1 << min(length - offset, LANES)) - 1
                saturated += lanes.count(lanes.nonzero(beyond) & mine)
                v = lanes.minimum(lanes.maximum(v, floor), _HIGHEST)
                fires = lanes.at_least(v, threshold)
                bits = lanes.nonzero(fires)
                if bits == 0:
                    lanes.store(membranes, at, v)
                    continue
                bits &= mine if threshold <= _HIGHEST else 0
                rest = lanes.subtract(v, threshold)
                several = lanes.nonzero(lanes.at_least(rest, threshold)) & bits
                if bits:
                    v = lanes.select(fires, lanes.both(rest, kept), v)
                lanes.store(membranes, at, v)
                while bits:
                    i = lanes.lowest(bits)
                    count = np.int64(1)
                    if several & bits & -bits:
                        # one threshold is subtracted already
                        count = lanes.element(rest, i) // threshold + 1
                        left = lanes.element(rest, i) - (count - 1) * threshold
                        put(membranes, at + i, left & kept)
                    bits &= bits - 1
                    put(queue, size + found, row)
                    put(queue, 2 * size + found, offset + i)
                    put(queue, 3 * size + found, count)
                    if spikes >= 0:
                        line = (step * height + row) * length
                        put(record, spikes + line + offset + i, count)
                    found += 1
                    total += count
    put(queue, core, found - first)
    put(counts, core, get(counts, core) + total)
    put(saturations, core, get(saturations, core) + saturated)
    put(bounds, core, min(get(bounds, core), get(cores, to + _REST)))


@part_bare
def record_membranes(core, step, limit, frame):
    """Copy the membranes of a core to its history."""
    cores, membranes = pointer(frame, _CORES, _I64), pointer(frame, _MEMBRANES, limit)
    history, of = pointer(frame, _HISTORY_RECORD, _I16), core * _CORE
    length, height = get(cores, of + _LINE), get(cores, of + _HEIGHT)
    to = get(cores, of + _HISTORY) + step * height * length
    for row in range(height):
        start = get(cores, of + _MEMBRANE) + row * get(cores, of + _PITCH)
        for i in range(length):
            put(history, to + row * length + i, get(membranes, start + i))


@compiled_bare(title="the clocked simulator of Speck", seconds=3)
def run(steps, arriving, limit, frame):  # noqa: C901
    """Simulate one sample; False where a sum may have exceeded the membranes' type.

    arriving: number of input events: step, y, channel * width + x, and count; steps ascending.
    limit: largest magnitude of a membrane, a number of the membranes' type.
    frame: see ``frame``.
    """
    cores, targets = pointer(frame, _CORES, _I64), pointer(frame, _TARGETS, _I64)
    events, own_queue = pointer(frame, _EVENTS, _I32), pointer(frame, _QUEUED, _I32)
    bounds, synop_counts = pointer(frame, _BOUNDS, _I64), pointer(frame, _SYNOP_COUNTS, _I64)
    next_event, fits = np.int64(0), True
    for step in range(steps):
        first_event = next_event
        while next_event < arriving and get(events, next_event) == step:
            next_event += 1
        for core in range(get(frame, _CORE_COUNT)):
            of = core * _CORE
            if get(cores, of + _BIAS) >= 0:
                fits &= _add_biases(core, limit, frame)
            for target in range(get(cores, of + _FIRST), get(cores, of + _LAST)):
                source = get(targets, target * _TARGET + _SOURCE)
                queue, size = events, get(frame, _EVENT_SIZE)
                first, last = first_event, next_event
                if source >= 0:
                    queue, size = own_queue, get(frame, _QUEUE_SIZE)
                    first = get(cores, source * _CORE + _QUEUE)
                    last = first + get(own_queue, source)
                if last - first >= get(targets, target * _TARGET + _DENSE_FROM):
                    most, synops = count_spikes(core, target, queue, size, first, last, frame)
                    bound = get(bounds, core) + most
                    convolve(core, bound <= limit, limit, frame)
                    if bound <= limit:
                        put(bounds, core, bound)
                        put(synop_counts, core, get(synop_counts, core) + synops)
                        continue
                if first < last:
                    fits &= _add_weights(core, target, queue, size, first, last, limit, frame)
            _finish(core, step, limit, frame)
            if get(cores, of + _HISTORY) >= 0:
                record_membranes(core, step, limit, frame)
        if not fits:
            return False
    return True

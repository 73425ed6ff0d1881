"""Dense convolution of a step's spike counts with the weights of a core, compiled.

Where many of the neurons that a core receives from spike in a step, it is faster to multiply all
counts with all weights than to add weights spike by spike: 64 products of 8 bits take one or two
instructions. The counts are written to a map with padding, so that what a result reads in a row of
the kernel is contiguous, and no border needs a test.

Sums of products are kept in 16 bits. The largest possible magnitude is computed from the counts;
if it exceeds 16 bits, or a count 8 bits, spikes are added one by one.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types, several sets of them.

from __future__ import annotations

import numpy as np

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import part_bare
from toolchain.chips.compiled.lanes import get, pointer, put
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.simulate.dense_layout import TILE
from toolchain.chips.speck.simulate.frame import FrameField
from toolchain.chips.speck.simulate.tables import ColumnField, CoreField, RowField, TargetField

__all__ = ["convolve", "count_spikes"]

_CORE, _TARGET = len(CoreField), len(TargetField)
_HEIGHT, _PITCH = int(CoreField.HEIGHT), int(CoreField.PITCH)
_MEMBRANE, _LINES = int(CoreField.MEMBRANE_AT), int(CoreField.LINE_AT)
_DENSE, _KERNEL_ROWS, _QUADS = (
    int(CoreField.DENSE_AT),
    int(CoreField.KERNEL_ROWS),
    int(CoreField.QUADS),
)
_MAP_PITCH, _MAP_STEP, _MAP_SIZE = (
    int(CoreField.MAP_PITCH),
    int(CoreField.MAP_STEP),
    int(CoreField.MAP_SIZE),
)
_OUTER, _OUTER_COUNTS, _OUTER_WEIGHT, _OUTER_MEMBRANE = (
    int(CoreField.OUTER),
    int(CoreField.OUTER_COUNTS),
    int(CoreField.OUTER_WEIGHT),
    int(CoreField.OUTER_MEMBRANE),
)
_UNITS, _UNIT_COUNTS, _UNIT_WEIGHT, _UNIT_MEMBRANE = (
    int(CoreField.UNITS),
    int(CoreField.UNIT_COUNTS),
    int(CoreField.UNIT_WEIGHT),
    int(CoreField.UNIT_MEMBRANE),
)
_MOST_SUM = int(CoreField.MOST_SUM)
_TO_ROW, _TO_COLUMN = int(TargetField.ROW_AT), int(TargetField.COLUMN_AT)
_ROW, _COLUMN = len(RowField), len(ColumnField)
_ROW_COUNT, _ROW_MAP = int(RowField.COUNT), int(RowField.MAP)
_VECTORS, _SYNOPS, _PEAK, _MAP = (
    int(ColumnField.VECTORS),
    int(ColumnField.SYNOPS),
    int(ColumnField.PEAK),
    int(ColumnField.MAP),
)
_CORES, _TARGETS = int(FrameField.CORES), int(FrameField.TARGETS)
_ROWS, _COLUMNS = int(FrameField.ROWS), int(FrameField.COLUMNS)
_QUAD_WEIGHTS, _COUNTED = int(FrameField.QUADS), int(FrameField.COUNTED)
_MEMBRANES, _TOUCHED = int(FrameField.MEMBRANES), int(FrameField.TOUCHED)

_LARGEST, _BEYOND = 2**15 - 1, 2**62
_I8, _U8, _U32 = np.int8(0), np.uint8(0), np.uint32(0)
_I16, _I32, _I64 = np.int16(0), np.int32(0), np.int64(0)


@part_bare
def count_spikes(core, target, queue, size, first, last, frame):
    """Add spikes to the map of counts; return (largest possible sum of products, synops).

    The sum is above every limit where the products cannot be computed in 8 and 16 bits.
    """
    cores, targets = pointer(frame, _CORES, _I64), pointer(frame, _TARGETS, _I64)
    row_table, column_table = pointer(frame, _ROWS, _I32), pointer(frame, _COLUMNS, _I32)
    counted = pointer(frame, _COUNTED, _U8)
    most, sums, synops = np.int64(0), np.int64(0), np.int64(0)
    rows = get(targets, target * _TARGET + _TO_ROW)
    columns = get(targets, target * _TARGET + _TO_COLUMN)
    for event in range(first, last):
        row = rows + get(queue, size + event) * _ROW
        column = columns + get(queue, 2 * size + event) * _COLUMN
        count = get(queue, 3 * size + event)
        reached = get(row_table, row + _ROW_COUNT) * get(column_table, column + _SYNOPS)
        if reached:
            at = get(row_table, row + _ROW_MAP) + get(column_table, column + _MAP)
            total = get(counted, at) + count
            put(counted, at, total)
            most = max(most, total)
            sums += count * get(column_table, column + _PEAK)
            synops += reached * count
    sums = min(sums, most * get(cores, core * _CORE + _MOST_SUM))
    if most > 255 or sums > _LARGEST:
        sums = np.int64(_BEYOND)
    return sums, synops


@part_bare
def convolve(core, suits, limit, frame):
    """Add the products of the map of counts with all weights to the membranes of a core.

    Then clear the map. Unless it ``suits``, only that.
    """
    cores, membranes = pointer(frame, _CORES, _I64), pointer(frame, _MEMBRANES, limit)
    counted, quads = pointer(frame, _COUNTED, _U8), pointer(frame, _QUAD_WEIGHTS, _I8)
    touched, to = pointer(frame, _TOUCHED, _U32), core * _CORE
    counts, weights = get(cores, to + _UNIT_COUNTS), get(cores, to + _UNIT_WEIGHT)
    rows, fours = get(cores, to + _KERNEL_ROWS), get(cores, to + _QUADS)
    units, step = get(cores, to + _UNITS), get(cores, to + _UNIT_MEMBRANE)
    pitch = get(cores, to + _MAP_PITCH)
    for line in range(get(cores, to + _HEIGHT) if suits else 0):
        put(touched, get(cores, to + _LINES) + line, -1)
        for outer in range(get(cores, to + _OUTER)):
            at = line * get(cores, to + _MAP_STEP)
            at += outer * get(cores, to + _OUTER_COUNTS)
            weight = get(cores, to + _DENSE)
            weight += outer * get(cores, to + _OUTER_WEIGHT)
            v = get(cores, to + _MEMBRANE) + line * get(cores, to + _PITCH)
            v += outer * get(cores, to + _OUTER_MEMBRANE)
            for unit in range(0, units, TILE):
                a = lanes.zeros(_I16)
                b, c, d, w = a, a, a, weight
                for row in range(rows):
                    p = at + row * pitch
                    q, r, s = p + counts, p + 2 * counts, p + 3 * counts
                    for _ in range(fours):
                        a = lanes.add_products(a, counted, p, quads, w)
                        b = lanes.add_products(b, counted, q, quads, w + weights)
                        c = lanes.add_products(c, counted, r, quads, w + 2 * weights)
                        d = lanes.add_products(d, counted, s, quads, w + 3 * weights)
                        p, q, r, s, w = p + 4, q + 4, r + 4, s + 4, w + 2 * LANES
                lanes.add_to(membranes, v, a)
                if unit + 1 < units:
                    lanes.add_to(membranes, v + step, b)
                if unit + 2 < units:
                    lanes.add_to(membranes, v + 2 * step, c)
                if unit + 3 < units:
                    lanes.add_to(membranes, v + 3 * step, d)
                at += TILE * counts
                weight += TILE * weights
                v += TILE * step
    for at in range(0, get(cores, to + _MAP_SIZE), LANES):
        lanes.store(counted, at, lanes.zeros(counted))

"""The compiled clocked simulation: the whole network and the whole raster in one call.

It works event by event. A spike is turned into additions of weights at once, into the membranes
of each core it is sent to, and a core looks only at rows of neurons that something was added to.
The order of additions cannot matter: sums are exact integers and are clamped once, after the last.

Layouts, chosen so that one event touches few, long, contiguous runs:

- membranes [y][x][channel], one array for all cores, 32-bit or 64-bit (``simulate`` proves which
  is wide enough);
- weights [input channel][kernel y][phase][kernel x reversed][output channel]. With a stride s an
  event reaches only every s-th kernel column, those of one *phase*; kept together and reversed,
  they lie in the order of the neurons they are added to. Stride 1 has one phase;
- pooling is an integer division of a spike's address on its way.

Everything about a core is a row of integers, ``CORE``, so that any number of cores is one type.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN201, ANN202
# No annotations on compiled functions: numba infers the types, several sets of them.

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit

__all__ = ["CORE_FIELDS", "TARGET_FIELDS", "Core", "Target", "find_events", "run", "survey"]


class Core(IntEnum):
    """Columns of the table of cores; offsets are into the flat arrays, -1 for none."""

    HEIGHT = 0
    WIDTH = 1
    OUTPUTS = 2
    KERNEL_Y = 3
    KERNEL_X = 4
    STRIDE_Y = 5
    STRIDE_X = 6
    PADDING_Y = 7
    PADDING_X = 8
    THRESHOLD = 9
    FLOOR = 10
    RETURN_TO_ZERO = 11
    MEMBRANE_AT = 12
    WEIGHT_AT = 13
    PHASE_AT = 14
    BIAS_AT = 15
    ROW_AT = 16
    FIRST_TARGET = 17
    LAST_TARGET = 18
    SPIKES_AT = 19
    HISTORY_AT = 20


class Target(IntEnum):
    """Columns of the table of connections."""

    CORE = 0
    POOLING = 1
    HEIGHT = 2
    WIDTH = 3


CORE_FIELDS = len(Core)
TARGET_FIELDS = len(Target)

# Plain integers: to the compiler a member of an enumeration is a type of its own.
_HEIGHT, _WIDTH, _OUTPUTS = int(Core.HEIGHT), int(Core.WIDTH), int(Core.OUTPUTS)
_KERNEL_Y, _KERNEL_X = int(Core.KERNEL_Y), int(Core.KERNEL_X)
_STRIDE_Y, _STRIDE_X = int(Core.STRIDE_Y), int(Core.STRIDE_X)
_PADDING_Y, _PADDING_X = int(Core.PADDING_Y), int(Core.PADDING_X)
_THRESHOLD, _FLOOR, _TO_ZERO = int(Core.THRESHOLD), int(Core.FLOOR), int(Core.RETURN_TO_ZERO)
_MEMBRANE, _WEIGHT, _PHASE = int(Core.MEMBRANE_AT), int(Core.WEIGHT_AT), int(Core.PHASE_AT)
_BIAS, _ROW = int(Core.BIAS_AT), int(Core.ROW_AT)
_FIRST, _LAST = int(Core.FIRST_TARGET), int(Core.LAST_TARGET)
_SPIKES, _HISTORY = int(Core.SPIKES_AT), int(Core.HISTORY_AT)
_TO, _POOLING = int(Target.CORE), int(Target.POOLING)
_POOLED_HEIGHT, _POOLED_WIDTH = int(Target.HEIGHT), int(Target.WIDTH)

_LOWEST, _HIGHEST = -32768, 32767
_CHUNK = 64
"""Neurons or inputs looked at together: long enough for vector instructions, short enough that
most chunks are quiet.
"""

# Nothing is allocated in here, so numba may leave out the counting of references to arrays: it
# costs more than the work of a small event, and threads would wait for each other's counts.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
_compile: Any = njit(**_OPTIONS)


@_compile
def survey(raster):
    """(non-zeros, lowest, highest, whether all are whole numbers) of a flat raster, not empty."""
    count, lowest, highest, whole = 0, raster[0], raster[0], True
    for value in raster:
        count += value != 0
        lowest = min(lowest, value)
        highest = max(highest, value)
        whole &= np.floor(value) == value
    return count, lowest, highest, whole


@_compile
def find_events(raster, events):
    """The non-zeros of a raster (steps, addresses), in order, as columns of (step, address, count).

    ``events`` (3, non-zeros) is filled. Chunks of zeros are passed over together.
    """
    steps, addresses = raster.shape
    found = 0
    for step in range(steps):
        for start in range(0, addresses, _CHUNK):
            first, stop = np.uint64(start), np.uint64(min(start + _CHUNK, addresses))
            busy = 0
            for address in range(first, stop):
                busy += raster[step, address] != 0
            if busy == 0:
                continue
            for address in range(first, stop):
                if raster[step, address] != 0:
                    events[0, found] = step
                    events[1, found] = address
                    events[2, found] = np.int64(raster[step, address])
                    found += 1


@_compile
def _deliver(cores, to, phases, weights, membranes, touched, channel, y, x, spikes):
    """Add ``spikes`` times the weights of one input address; gives the synaptic operations."""
    outputs, width = cores[to, _OUTPUTS], cores[to, _WIDTH]
    kernel_x, stride_y, stride_x = cores[to, _KERNEL_X], cores[to, _STRIDE_Y], cores[to, _STRIDE_X]
    y += cores[to, _PADDING_Y]
    x += cores[to, _PADDING_X]
    phase = cores[to, _PHASE] + 2 * (x % stride_x)
    right = x // stride_x
    left = right - phases[phase] + 1
    column = phases[phase + 1] + max(0, -left)
    left = max(0, left)
    run = (min(right, width - 1) - left + 1) * outputs
    top = max(0, (y - cores[to, _KERNEL_Y] + stride_y) // stride_y)
    bottom = min(y // stride_y, cores[to, _HEIGHT] - 1)
    if run <= 0 or bottom < top:
        return 0
    factor, length = membranes.dtype.type(spikes), np.uint64(run)
    for row in range(top, bottom + 1):
        kernel_row = channel * cores[to, _KERNEL_Y] + y - row * stride_y
        source = np.uint64(cores[to, _WEIGHT] + (kernel_row * kernel_x + column) * outputs)
        sums = np.uint64(cores[to, _MEMBRANE] + (row * width + left) * outputs)
        for i in range(length):
            membranes[sums + i] += weights[source + i] * factor
        touched[cores[to, _ROW] + row] = 1
    return (bottom - top + 1) * run * spikes


@_compile
def _send(first, last, cores, targets, phases, weights, membranes, touched, synops, c, y, x, n):
    """Hand ``n`` spikes at (c, y, x) to every core they are addressed to, pooled on the way."""
    for index in range(first, last):
        row, column = y // targets[index, _POOLING], x // targets[index, _POOLING]
        if row < targets[index, _POOLED_HEIGHT] and column < targets[index, _POOLED_WIDTH]:
            to = targets[index, _TO]
            synops[to] += _deliver(
                cores, to, phases, weights, membranes, touched, c, row, column, n
            )


@_compile
def _raise_to_floor(membranes, start, stop, floor):
    """Finish the neurons that do not fire: (largest sum, how many were clamped from below)."""
    lowest, highest = membranes[start], membranes[start]
    for i in range(start, stop):
        lowest = min(lowest, membranes[i])
        highest = max(highest, membranes[i])
    clamped = 0
    if lowest < _LOWEST:
        for i in range(start, stop):
            clamped += membranes[i] < _LOWEST
    if lowest < floor:
        bound = membranes.dtype.type(floor)
        for i in range(start, stop):
            membranes[i] = max(membranes[i], bound)
    return highest, clamped


@_compile
def _fire(
    step, core, row, start, chunk, stop, cores, targets, phases, weights,
    membranes, touched, spikes_out, saturations, synops, counts,
):  # fmt: skip
    """Let the neurons ``chunk`` to ``stop`` fire, of a line that begins at ``start``."""
    threshold, outputs = cores[core, _THRESHOLD], cores[core, _OUTPUTS]
    for at in range(chunk, stop):
        value = np.int64(membranes[at])
        if value < threshold and value <= _HIGHEST:
            continue
        saturations[core] += value > _HIGHEST
        value = min(value, np.int64(_HIGHEST))
        if value < threshold:
            membranes[at] = value
            continue
        fired = value // threshold
        membranes[at] = 0 if cores[core, _TO_ZERO] else value - fired * threshold
        counts[core] += fired
        place = np.int64(at - start)
        if cores[core, _SPIKES] >= 0:
            lines = step * cores[core, _HEIGHT] + row
            spikes_out[cores[core, _SPIKES] + lines * cores[core, _WIDTH] * outputs + place] = fired
        _send(
            cores[core, _FIRST], cores[core, _LAST], cores, targets, phases, weights,
            membranes, touched, synops, place % outputs, row, place // outputs, fired,
        )  # fmt: skip


@_compile
def _finish_line(
    step, core, row, start, line, cores, targets, phases, weights, biases,
    membranes, touched, spikes_out, saturations, synops, counts,
):  # fmt: skip
    """Everything that happens to one line of neurons after the last weight was added."""
    if cores[core, _BIAS] >= 0:
        leak = np.uint64(cores[core, _BIAS])
        for i in range(np.uint64(line)):
            membranes[start + i] += biases[leak + i]
    threshold = cores[core, _THRESHOLD]
    for offset in range(0, line, _CHUNK):
        chunk = start + np.uint64(offset)
        stop = start + np.uint64(min(line, offset + _CHUNK))
        highest, clamped = _raise_to_floor(membranes, chunk, stop, cores[core, _FLOOR])
        saturations[core] += clamped
        if highest >= threshold or highest > _HIGHEST:
            _fire(
                step, core, row, start, chunk, stop, cores, targets, phases, weights,
                membranes, touched, spikes_out, saturations, synops, counts,
            )  # fmt: skip


@_compile
def run(
    steps, events, shape, inputs, cores, targets, phases, weights, biases,
    membranes, touched, spikes_out, history, saturations, synops, counts,
):  # fmt: skip
    """Simulate one sample; fills ``membranes`` (start to end state) and the arrays after it.

    events: (3, n) of (step, address in ``shape``, count), steps ascending.
    shape: (channels, height, width) of the input; inputs: (first, last) row of ``targets``.
    touched: a one for each line of neurons.
    spikes_out, history: (steps, neurons) of the recorded cores, laid out like membranes, flat.
    saturations, synops, counts: one number a core; added to.
    """
    event, plane = 0, shape[1] * shape[2]
    for step in range(steps):
        while event < events.shape[1] and events[0, event] == step:
            address = np.int64(events[1, event])
            channel, place = address // plane, address % plane
            _send(
                inputs[0], inputs[1], cores, targets, phases, weights, membranes, touched, synops,
                channel, place // shape[2], place % shape[2], np.int64(events[2, event]),
            )  # fmt: skip
            event += 1
        for core in range(cores.shape[0]):
            line = cores[core, _WIDTH] * cores[core, _OUTPUTS]
            for row in range(cores[core, _HEIGHT]):
                at = cores[core, _ROW] + row
                if not touched[at]:
                    continue
                # What nothing was added to keeps still; with a bias no neuron is left alone.
                touched[at] = cores[core, _BIAS] >= 0
                _finish_line(
                    step, core, row, np.uint64(cores[core, _MEMBRANE] + row * line), line,
                    cores, targets, phases, weights, biases,
                    membranes, touched, spikes_out, saturations, synops, counts,
                )  # fmt: skip
            if cores[core, _HISTORY] >= 0:
                size = cores[core, _HEIGHT] * line
                to, start = cores[core, _HISTORY] + step * size, cores[core, _MEMBRANE]
                for i in range(size):
                    history[to + i] = membranes[start + i]

"""The integer tables that the compiled simulations read: the meaning of each column.

The properties of a core are a row of integers, so that the compiler needs one type for any number
of cores.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from toolchain.arrays import Array

__all__ = ["ColumnField", "CoreField", "RowField", "State", "Tables", "TargetField"]


class CoreField(IntEnum):
    """Columns of the table of cores; offsets are into the flat arrays, -1 for none.

    LINE is the neurons of a line, PITCH the distance from a line to the next, REST the largest
    magnitude of a membrane after a step, BIAS_PEAK that of a bias, WEIGHT_STEP the distance from a
    kernel row to that of the next line of neurons.
    """

    HEIGHT = 0
    LINE = 1
    PITCH = 2
    THRESHOLD = 3
    FLOOR = 4
    RETURN_TO_ZERO = 5
    REST = 6
    MEMBRANE_AT = 7
    BIAS_AT = 8
    BIAS_PEAK = 9
    LINE_AT = 10
    FIRST_TARGET = 11
    LAST_TARGET = 12
    SPIKES_AT = 13
    HISTORY_AT = 14
    WEIGHT_AT = 15
    WEIGHT_STEP = 16
    CHANNELS = 17


class TargetField(IntEnum):
    """Columns of the table of connections: the core, and the first of its rows and columns."""

    CORE = 0
    ROW_AT = 1
    COLUMN_AT = 2


class RowField(IntEnum):
    """Columns of the table of source rows: first line of neurons, number of lines, kernel row."""

    FIRST = 0
    COUNT = 1
    WEIGHT = 2


class ColumnField(IntEnum):
    """Columns of the table of source columns, for one channel: the neurons reached in a line.

    WEIGHT: start of the run of weights; MEMBRANE: the neuron of the line that it is added to first;
    VECTORS: its length in vectors; SYNOPS: number of neurons in it; PEAK: the largest magnitude
    of a weight of the channel.
    """

    WEIGHT = 0
    MEMBRANE = 1
    VECTORS = 2
    SYNOPS = 3
    PEAK = 4


class Tables(NamedTuple):
    """The program: int64 ``cores`` and ``targets``, int32 ``rows`` and ``columns``.

    ``inputs`` are the first row of ``targets`` for input events and the one after their last;
    ``weights`` are int8, ``biases`` int16, a line of neurons each.
    """

    inputs: Array
    cores: Array
    targets: Array
    rows: Array
    columns: Array
    weights: Array
    biases: Array


class State(NamedTuple):
    """Arrays that a run changes.

    ``membranes``: the state. ``bounds``: on the magnitudes of each line, int64. ``touched``: 1 for
    each line that weights were added to. ``spikes`` and ``history``: (steps, neurons) of the
    recorded cores [y][x][channel], flat. ``saturations``, ``synops`` and ``counts``: one number a
    core.
    """

    membranes: Array
    bounds: Array
    touched: Array
    spikes: Array
    history: Array
    saturations: Array
    synops: Array
    counts: Array

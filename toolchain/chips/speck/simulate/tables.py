"""The tables that the compiled simulations read: what each column of integers means.

Everything about a core is a row of integers, so that any number of cores is one type to the
compiler.
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
    kernel row to the one that the next line of neurons sees.
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
    """Columns of the table of connections: the core, and where their rows and columns start."""

    CORE = 0
    ROW_AT = 1
    COLUMN_AT = 2


class RowField(IntEnum):
    """What a row of the source reaches: first line of neurons, how many, and its kernel row."""

    FIRST = 0
    COUNT = 1
    WEIGHT = 2


class ColumnField(IntEnum):
    """What a channel of a column of the source reaches in each line.

    WEIGHT: where the run of weights starts; MEMBRANE: where in the line it is added, from the
    first neuron on; VECTORS: its length; SYNOPS: how many of it are neurons; PEAK: the largest
    magnitude of a weight of the channel.
    """

    WEIGHT = 0
    MEMBRANE = 1
    VECTORS = 2
    SYNOPS = 3
    PEAK = 4


class Tables(NamedTuple):
    """The program: int64 ``cores`` and ``targets``, int32 ``rows`` and ``columns``.

    ``inputs`` are the first and last row of ``targets`` that input events go to; ``weights`` are
    int8, ``biases`` int16, a line of neurons each.
    """

    inputs: Array
    cores: Array
    targets: Array
    rows: Array
    columns: Array
    weights: Array
    biases: Array


class State(NamedTuple):
    """What a run changes.

    ``membranes``: start to end state. ``bounds`` on the magnitudes of each line, int64, and
    ``touched``, a one for each line. ``spikes`` and ``history``: (steps, neurons) of the recorded
    cores [y][x][channel], flat. ``saturations``, ``synops``, ``counts``: a number a core, added to.
    """

    membranes: Array
    bounds: Array
    touched: Array
    spikes: Array
    history: Array
    saturations: Array
    synops: Array
    counts: Array

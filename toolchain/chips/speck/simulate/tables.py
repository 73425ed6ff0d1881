"""The integer tables that the compiled simulations read: the meaning of each column.

The properties of a core are a row of integers, so that the compiler needs one type for any number
of cores.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from toolchain.arrays import Array

__all__ = [
    "ColumnField",
    "CoreField",
    "QueueField",
    "RowField",
    "Scratch",
    "Tables",
    "TargetField",
]


class CoreField(IntEnum):
    """Columns of the table of cores; offsets are into the flat arrays, -1 for none.

    LINE is the neurons of a line, PITCH the distance from a line to the next, REST the largest
    magnitude of a membrane after a step, BIAS_PEAK that of a bias, WEIGHT_STEP the distance from a
    row of weights to the next. The connections to the core are those from
    FIRST_SOURCE up to LAST_SOURCE; its spikes of a step are queued from QUEUE_AT on.

    The rest is for dense convolution, see ``dense``. The results of a line are computed in tiles of
    ``TILE`` units, for each of OUTER places; OUTER_COUNTS, OUTER_WEIGHT and OUTER_MEMBRANE are the
    distances from one place to the next in the map of counts, the weights and the membranes, and
    UNIT_COUNTS, UNIT_WEIGHT and UNIT_MEMBRANE those from one unit to the next. MOST_SUM is the
    largest sum of the magnitudes of an output's weights.
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
    FIRST_SOURCE = 11
    LAST_SOURCE = 12
    SPIKES_AT = 13
    HISTORY_AT = 14
    WEIGHT_AT = 15
    WEIGHT_STEP = 16
    CHANNELS = 17
    QUEUE_AT = 18
    DENSE_AT = 19
    KERNEL_ROWS = 20
    QUADS = 21
    MAP_PITCH = 22
    MAP_STEP = 23
    MAP_SIZE = 24
    OUTER = 25
    OUTER_COUNTS = 26
    OUTER_WEIGHT = 27
    OUTER_MEMBRANE = 28
    UNITS = 29
    UNIT_COUNTS = 30
    UNIT_WEIGHT = 31
    UNIT_MEMBRANE = 32
    MOST_SUM = 33
    PART = 34


class TargetField(IntEnum):
    """Columns of the table of connections, those to one core after another.

    SOURCE: the core that sends, -1 for the input; ROW_AT and COLUMN_AT: the first of its rows and
    columns; DENSE_FROM: number of events in a step from which a dense convolution is faster.
    """

    SOURCE = 0
    ROW_AT = 1
    COLUMN_AT = 2
    DENSE_FROM = 3


class QueueField(IntEnum):
    """Rows of the queue of a step's spikes, like those of the input events.

    LENGTH has the number of spikes of each core, the others the spikes: line, neuron of the line
    and count.
    """

    LENGTH = 0
    Y = 1
    COLUMN = 2
    COUNT = 3


class RowField(IntEnum):
    """Columns of the table of source rows.

    FIRST: the first line of neurons reached; COUNT: number of lines; WEIGHT: its kernel row; MAP:
    the row of the map of counts. START, LINES and START_WEIGHT are the same with lines of the
    margins, so that all rows reach the same number of lines.
    """

    FIRST = 0
    COUNT = 1
    WEIGHT = 2
    MAP = 3
    START = 4
    LINES = 5
    START_WEIGHT = 6
    UNUSED = 7
    """Rows of eight: a multiplication is a shift."""


class ColumnField(IntEnum):
    """Columns of the table of source columns, for one channel: the neurons reached in a line.

    WEIGHT: start of the run of weights; MEMBRANE: the neuron of the line that it is added to first;
    FIRST: the first neuron reached; VECTORS: its length in vectors; SYNOPS: number of neurons in it; PEAK: the largest magnitude
    of a weight of the channel; MAP: place in a row of the map of counts; TOUCHED: bits of the
    parts of the line that it is added to, each of ``CoreField.PART`` neurons.
    """

    WEIGHT = 0
    MEMBRANE = 1
    VECTORS = 2
    SYNOPS = 3
    PEAK = 4
    MAP = 5
    FIRST = 6
    TOUCHED = 7


class Tables(NamedTuple):
    """The program: int64 ``cores`` and ``targets``, int32 ``rows`` and ``columns``.

    ``weights`` are int8, ``quads`` the same weights for dense convolution, and ``biases`` int16, a
    line of neurons each.
    """

    cores: Array
    targets: Array
    rows: Array
    columns: Array
    weights: Array
    quads: Array
    biases: Array


class Scratch(NamedTuple):
    """Arrays of one sample that a run changes, besides its state.

    ``queue``: rows of ``QueueField``, int32. ``counted``: the map of counts of a dense
    convolution, uint8, all 0 between two. ``spikes``, int32, and ``history``, int16: (steps,
    neurons) of the recorded cores [y][x][channel], flat. ``saturations``, ``synops`` and
    ``counts``: one number a core, int64.
    """

    queue: Array
    counted: Array
    spikes: Array
    history: Array
    saturations: Array
    synops: Array
    counts: Array

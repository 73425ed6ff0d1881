"""A Speck program as the flat tables that the compiled simulations read (see ``kernel``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.simulate.layout import CoreLayout
from toolchain.chips.speck.simulate.tables import (
    ColumnField,
    CoreField,
    RowField,
    Tables,
    TargetField,
)

__all__ = ["FlatProgram", "lay_out_cores", "pack"]


EVENT_COST, LINE_COST, VECTOR_COST = 10, 4, 4
"""Costs of an event, of each line that it reaches and of each vector of weights in that line, in
multiplications of 64 products of a dense convolution; measured with AVX2 (AMD Zen 3).
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatProgram:
    """The program as flat tables, and the positions of its results.

    Attributes:
        tables: input of ``kernel.run``.
        lines: lines of neurons of all cores together.
        size: length of the array of all membranes.
        neurons: index of each neuron in it, int64: core by core, each [channel][y][x].
        connections: (source, or None for the input; core), in the order of ``tables.targets``.
        counted: length of the largest map of counts.
        spikes, history: by recorded core, the slice of its record.
    """

    tables: Tables
    lines: int
    size: int
    neurons: Array
    connections: tuple[tuple[str | None, str], ...]
    counted: int
    spikes: dict[str, slice]
    history: dict[str, slice]


def pack(
    program: SpeckProgram,
    *,
    steps: int,
    spikes: Collection[str],
    history: Collection[str],
    drop: bool = True,
) -> FlatProgram:
    """Return the tables of a program, with space to record ``steps`` of the named cores.

    ``drop``: whether rows and columns beyond the last full pooling window are dropped.
    """
    layouts, rows, columns = lay_out_cores(program, drop=drop)
    neurons = {core.name: int(np.prod(core.output_shape)) for core in program.cores}
    weights = {name: layout.weights() for name, layout in layouts.items()}
    quads = {name: layout.dense.weights() for name, layout in layouts.items()}
    biases = {name: layout.biases() for name, layout in layouts.items()}
    heights = {name: layout.height for name, layout in layouts.items()}
    room = {name: layout.height * layout.pitch for name, layout in layouts.items()}
    places = {
        CoreField.MEMBRANE_AT: _lay_out(room),
        CoreField.LINE_AT: _lay_out(heights),
        CoreField.WEIGHT_AT: _lay_out({name: w.size for name, w in weights.items()}),
        CoreField.QUEUE_AT: _lay_out(neurons),
        CoreField.DENSE_AT: _lay_out({name: d.size for name, d in quads.items()}),
        CoreField.BIAS_AT: _lay_out({name: b.size for name, b in biases.items() if b.any()}),
        CoreField.SPIKES_AT: _lay_out({n: steps * neurons[n] for n in neurons if n in spikes}),
        CoreField.HISTORY_AT: _lay_out({n: steps * neurons[n] for n in neurons if n in history}),
    }
    leaks = [biases[name] for name in places[CoreField.BIAS_AT]]
    slack = max(layout.dense.slack for layout in layouts.values())
    starts = {name: place.start for name, place in places[CoreField.MEMBRANE_AT].items()}
    return FlatProgram(
        tables=Tables(
            cores=_core_table(program, layouts, places),
            targets=_target_table(program, layouts, rows, columns),
            rows=np.concatenate(rows),
            columns=np.concatenate(columns),
            # vectors are read whole: the last run needs as many values behind it
            weights=np.concatenate([*weights.values(), np.zeros(LANES, np.int8)]),
            quads=np.concatenate([*quads.values(), np.zeros(slack, np.int8)]),
            biases=np.concatenate([*leaks, np.zeros(LANES, np.int16)]),
        ),
        lines=sum(heights.values()),
        size=sum(room.values()),
        neurons=np.concatenate([layouts[name].neurons(at) for name, at in starts.items()]),
        connections=tuple(
            (None if source is None else source.name, target.layer)
            for source, _, target in _connections(program)
        ),
        counted=max(layout.dense.size for layout in layouts.values()),
        spikes=places[CoreField.SPIKES_AT],
        history=places[CoreField.HISTORY_AT],
    )


def lay_out_cores(
    program: SpeckProgram, *, drop: bool = True
) -> tuple[dict[str, CoreLayout], list[Array], list[Array]]:
    """Return the layout of each core, and the tables of rows and of columns, one a connection."""
    layouts = {core.name: CoreLayout(core=core) for core in program.cores}
    # before the layouts are used: it sets their margins
    rows, columns = _reach(program, layouts, drop)
    return layouts, rows, columns


def _lay_out(sizes: Mapping[str, int]) -> dict[str, slice]:
    """Return consecutive slices of these sizes."""
    stop, slices = 0, {}
    for name, size in sizes.items():
        slices[name] = slice(stop, stop + size)
        stop += size
    return slices


def _connections(
    program: SpeckProgram,
) -> Iterator[tuple[SpeckCore | None, tuple[int, int, int], Destination]]:
    """Yield (source, or None for the input; shape of its map; destination), by destination."""
    for core in program.cores:
        for source, target in program.sources(core.name):
            shape = program.input_shape if source is None else source.output_shape
            yield source, shape, target


def _reach(
    program: SpeckProgram, layouts: Mapping[str, CoreLayout], drop: bool
) -> tuple[list[Array], list[Array]]:
    """Return the tables of rows and of columns, one of each a connection.

    Columns of a core are in the order of its lines, [x][channel], those of the input
    [channel][x].
    """
    rows, columns = [], []
    for source, (channels, height, width), target in _connections(program):
        layout = layouts[target.layer]
        rows.append(layout.rows(target.pooling, height, drop))
        shifted = slice(target.feature_shift, target.feature_shift + channels)
        reach = layout.columns(target.pooling, width, drop)[:, shifted]
        reach = reach.swapaxes(0, 1) if source is None else reach
        columns.append(reach.reshape(-1, len(ColumnField)))
    return rows, columns


def _core_table(
    program: SpeckProgram,
    layouts: Mapping[str, CoreLayout],
    places: Mapping[CoreField, Mapping[str, slice]],
) -> Array:
    table = np.full((len(program.cores), len(CoreField)), -1, np.int64)
    first = 0
    for row, core in zip(table, program.cores, strict=True):
        layout = layouts[core.name]
        row[[CoreField.HEIGHT, CoreField.LINE, CoreField.PITCH]] = (
            core.output_shape[1],
            layout.line,
            layout.pitch,
        )
        row[CoreField.WEIGHT_STEP] = layout.step
        row[CoreField.THRESHOLD] = core.threshold_high
        row[CoreField.FLOOR] = max(core.threshold_low, -32768)
        row[CoreField.PART] = layout.part
        row[CoreField.CHANNELS] = core.output_shape[0]
        row[CoreField.RETURN_TO_ZERO] = core.return_to_zero
        row[CoreField.REST] = max(min(core.threshold_high - 1, 32767), -row[CoreField.FLOOR])
        row[CoreField.BIAS_PEAK] = np.abs(layout.biases().astype(int)).max()
        for column, slices in places.items():
            if core.name in slices:
                row[column] = slices[core.name].start
        row[CoreField.MEMBRANE_AT] += layout.before + layout.above * layout.pitch
        row[CoreField.LINE_AT] += layout.above
        for field, value in layout.dense.fields().items():
            row[field] = value
        row[CoreField.FIRST_SOURCE] = first
        first += len(list(program.sources(core.name)))
        row[CoreField.LAST_SOURCE] = first
    return table


def _target_table(
    program: SpeckProgram,
    layouts: Mapping[str, CoreLayout],
    rows: list[Array],
    columns: list[Array],
) -> Array:
    """Return one row a connection."""
    numbers: dict[str | None, int] = {core.name: index for index, core in enumerate(program.cores)}
    table = np.zeros((len(rows), len(TargetField)), np.int64)
    connections = list(_connections(program))
    for row, part, run, connection in zip(table, rows, columns, connections, strict=True):
        source, _, target = connection
        row[TargetField.SOURCE] = -1 if source is None else numbers[source.name]
        row[TargetField.DENSE_FROM] = _dense_from(layouts[target.layer], part, run)
    table[1:, TargetField.ROW_AT] = np.cumsum([part.size for part in rows])[:-1]
    table[1:, TargetField.COLUMN_AT] = np.cumsum([part.size for part in columns])[:-1]
    return table


def _dense_from(layout: CoreLayout, rows: Array, columns: Array) -> int:
    """Return the number of events from which a dense convolution is faster."""
    lines = rows[:, RowField.COUNT].mean()
    vectors = columns[:, ColumnField.VECTORS].mean()
    event = EVENT_COST + lines * (LINE_COST + vectors * VECTOR_COST)
    return int(layout.dense.operations / event) + 1

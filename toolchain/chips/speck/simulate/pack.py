"""A Speck program as the flat tables that the compiled simulations read (see ``kernel``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.simulate.layout import CoreLayout
from toolchain.chips.speck.simulate.tables import ColumnField, CoreField, Tables, TargetField

__all__ = ["FlatProgram", "pack"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatProgram:
    """The program as flat tables, and the positions of its results.

    Attributes:
        tables: input of ``kernel.run``.
        lines: lines of neurons of all cores together.
        size: length of the array of all membranes.
        neurons: index of each neuron in it, int64: core by core, each [channel][y][x].
        spikes, history: by recorded core, the slice of its record.
    """

    tables: Tables
    lines: int
    size: int
    neurons: Array
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
    layouts = {core.name: CoreLayout(core=core) for core in program.cores}
    # before the layouts are used: it sets their margins
    rows, columns = _reach(program, layouts, drop)
    neurons = {core.name: int(np.prod(core.output_shape)) for core in program.cores}
    weights = {name: layout.weights() for name, layout in layouts.items()}
    biases = {name: layout.biases() for name, layout in layouts.items()}
    heights = {core.name: core.output_shape[1] for core in program.cores}
    room = {name: heights[name] * layout.pitch for name, layout in layouts.items()}
    places = {
        CoreField.MEMBRANE_AT: _lay_out(room),
        CoreField.LINE_AT: _lay_out(heights),
        CoreField.WEIGHT_AT: _lay_out({name: w.size for name, w in weights.items()}),
        CoreField.BIAS_AT: _lay_out({name: b.size for name, b in biases.items() if b.any()}),
        CoreField.SPIKES_AT: _lay_out({n: steps * neurons[n] for n in neurons if n in spikes}),
        CoreField.HISTORY_AT: _lay_out({n: steps * neurons[n] for n in neurons if n in history}),
    }
    leaks = [biases[name] for name in places[CoreField.BIAS_AT]]
    starts = {name: place.start for name, place in places[CoreField.MEMBRANE_AT].items()}
    return FlatProgram(
        tables=Tables(
            inputs=np.array([0, len(program.inputs)], np.int64),
            cores=_core_table(program, layouts, places),
            targets=_target_table(program, rows, columns),
            rows=np.concatenate(rows),
            columns=np.concatenate(columns),
            # vectors are read whole: the last run needs as many values behind it
            weights=np.concatenate([*weights.values(), np.zeros(LANES, np.int8)]),
            biases=np.concatenate([np.zeros(0, np.int16), *leaks]),
        ),
        lines=sum(heights.values()),
        size=sum(room.values()),
        neurons=np.concatenate([layouts[name].neurons(at) for name, at in starts.items()]),
        spikes=places[CoreField.SPIKES_AT],
        history=places[CoreField.HISTORY_AT],
    )


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
    """Yield (source, or None for the input; shape of its map; destination), inputs first."""
    for target in program.inputs:
        yield None, program.input_shape, target
    for core in program.cores:
        for target in core.destinations:
            yield core, core.output_shape, target


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
    first = len(program.inputs)
    for row, core in zip(table, program.cores, strict=True):
        layout = layouts[core.name]
        row[[CoreField.HEIGHT, CoreField.LINE, CoreField.PITCH]] = (
            core.output_shape[1],
            layout.line,
            layout.pitch,
        )
        row[CoreField.WEIGHT_STEP] = core.stride[0] * layout.step
        row[CoreField.THRESHOLD] = core.threshold_high
        row[CoreField.FLOOR] = max(core.threshold_low, -32768)
        row[CoreField.CHANNELS] = core.output_shape[0]
        row[CoreField.RETURN_TO_ZERO] = core.return_to_zero
        row[CoreField.REST] = max(min(core.threshold_high - 1, 32767), -row[CoreField.FLOOR])
        row[CoreField.BIAS_PEAK] = np.abs(layout.biases().astype(int)).max()
        for column, slices in places.items():
            if core.name in slices:
                row[column] = slices[core.name].start
        row[CoreField.MEMBRANE_AT] += layout.before
        row[CoreField.FIRST_TARGET], row[CoreField.LAST_TARGET] = (
            first,
            first + len(core.destinations),
        )
        first += len(core.destinations)
    return table


def _target_table(program: SpeckProgram, rows: list[Array], columns: list[Array]) -> Array:
    """Return one row a connection: the core, and the first of its rows and columns."""
    numbers = {core.name: index for index, core in enumerate(program.cores)}
    table = np.zeros((len(rows), len(TargetField)), np.int64)
    table[:, TargetField.CORE] = [numbers[target.layer] for *_, target in _connections(program)]
    table[1:, TargetField.ROW_AT] = np.cumsum([len(part) for part in rows])[:-1]
    table[1:, TargetField.COLUMN_AT] = np.cumsum([len(part) for part in columns])[:-1]
    return table

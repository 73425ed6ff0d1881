"""Tables of a program for its simulators, filled with other integers without building the program.

``simulate.pack`` lays out a program once. Weights then go from the parameters to their places in
the tables through indices, which are what the layouts do to numbers in place of weights.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.pack import FlatProgram, lay_out_cores
from toolchain.chips.speck.simulate.prepared import Kept, Prepared, packed
from toolchain.chips.speck.simulate.tables import ColumnField, CoreField, Tables
from toolchain.chips.speck.training.parameters import CoreParameters

__all__ = ["ChangingTables", "Recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Places of what is recorded of one sample, flat: core after core, [step][y][x][channel].

    Attributes:
        spikes, v_mem: of each recorded core, its place; the other cores are not recorded.
        sizes: length of each of the two records.
    """

    spikes: Mapping[str, slice]
    v_mem: Mapping[str, slice]
    sizes: tuple[int, int]


class ChangingTables:
    """Tables of a program with any integers in the range of its parameters.

    Args:
        program: the program; its own integers are not used.
        layers: parameters of each core.
        drop: whether rows and columns beyond the last full pooling window are dropped.

    Attributes:
        prepared: the program with its own integers, for all that integers do not change.
    """

    def __init__(self, program: SpeckProgram, layers: tuple[CoreParameters, ...]) -> None:
        self.prepared: Prepared = packed(program, Kept(spikes=program.outputs, membranes=()))
        self._layers = layers
        self._layouts, _, columns = lay_out_cores(self.prepared.program)
        self._weights, self._quads = self._weight_places()
        self._peaks = self._peak_places([len(table) for table in columns])
        lines = [self._layouts[layer.core.name].line for layer in layers]
        sizes = [line if layer.bias else 0 for line, layer in zip(lines, layers, strict=True)]
        self._bias_at = np.cumsum([0, *sizes])[:-1]

    def _weight_places(self) -> tuple[Array, Array]:
        """Return for each entry of the two tables of weights its index in all parameters.

        0 is the index of a zero; the parameters of one layer follow those of the last.
        """
        first, weights, quads = 1, [], []
        for layer in self._layers:
            layout = self._layouts[layer.core.name]
            numbers = np.where(layer.places < 0, 0, layer.places + first)
            weights.append(layout.arranged(numbers).ravel())
            quads.append(layout.dense.arranged(numbers).ravel())
            first += math.prod(layer.weight.shape)
        slack = max(self._layouts[layer.core.name].dense.slack for layer in self._layers)
        weights.append(np.zeros(LANES, np.int64))
        quads.append(np.zeros(slack, np.int64))
        return np.concatenate(weights), np.concatenate(quads)

    def _peak_places(self, sizes: list[int]) -> Array:
        """Return for each source column the index of its input channel among all of all cores."""
        first, starts = 0, {}
        for layer in self._layers:
            starts[layer.core.name] = first
            first += layer.core.input_shape[0]
        found = []
        for core in self.prepared.program.cores:
            for source, target in self.prepared.program.sources(core.name):
                shape = self.prepared.program.input_shape if source is None else source.output_shape
                at = starts[core.name] + target.feature_shift + np.arange(shape[0])
                # columns of the input are in the order [channel][x], others [x][channel]
                found.append(np.repeat(at, shape[2]) if source is None else np.tile(at, shape[2]))
        assert [len(part) for part in found] == sizes, "columns of the sources"
        return np.concatenate(found)

    def filled(self, values: Mapping[str, Array]) -> Tables:
        """Return the tables with these integers, without a record."""
        old = self.prepared.flat.tables
        flat = [np.zeros(1, np.int8)]
        flat += [values[layer.weight.name].astype(np.int8).ravel() for layer in self._layers]
        numbers = np.concatenate(flat)
        cores, columns, peaks = old.cores.copy(), old.columns.copy(), []
        biases = []
        for row, layer, at in zip(cores, self._layers, self._bias_at, strict=True):
            magnitudes = np.abs(layer.weights(values).astype(np.int64))
            peaks.append(magnitudes.max((0, 2, 3)))
            row[CoreField.MOST_SUM] = magnitudes.sum((1, 2, 3)).max(initial=0)
            threshold = int(values[layer.threshold.name])
            row[CoreField.THRESHOLD] = threshold
            row[CoreField.REST] = max(min(threshold - 1, 32767), -row[CoreField.FLOOR])
            row[[CoreField.SPIKES_AT, CoreField.HISTORY_AT, CoreField.BIAS_AT]] = -1
            row[CoreField.BIAS_PEAK] = 0
            if layer.bias is None:
                continue
            bias = layer.biases(values)
            biases.append(np.tile(bias, layer.core.output_shape[2]))
            if bias.any():
                row[CoreField.BIAS_AT] = at
                row[CoreField.BIAS_PEAK] = np.abs(bias.astype(int)).max()
        columns[:, ColumnField.PEAK] = np.concatenate(peaks)[self._peaks]
        return Tables(
            cores=cores,
            targets=old.targets,
            rows=old.rows,
            columns=columns,
            weights=numbers[self._weights],
            quads=numbers[self._quads],
            biases=np.concatenate([*biases, np.zeros(LANES, np.int16)]),
        )

    def recording(
        self, tables: Tables, steps: int, spikes: Collection[str], v_mem: Collection[str]
    ) -> tuple[FlatProgram, Recorded]:
        """Return the program with a record of ``steps`` steps of these cores, and its places."""
        old, cores = self.prepared.flat, tables.cores.copy()
        found, sizes = [], []
        for field, names in ((CoreField.SPIKES_AT, spikes), (CoreField.HISTORY_AT, v_mem)):
            places, stop = {}, 0
            for row, layer in zip(cores, self._layers, strict=True):
                row[field] = -1
                if layer.core.name in names:
                    size = steps * math.prod(layer.core.output_shape)
                    places[layer.core.name], row[field] = slice(stop, stop + size), stop
                    stop += size
            found.append(places)
            sizes.append(stop)
        flat = FlatProgram(
            tables=tables._replace(cores=cores),
            lines=old.lines,
            size=old.size,
            neurons=old.neurons,
            connections=old.connections,
            counted=old.counted,
            spikes=found[0],
            history=found[1],
        )
        return flat, Recorded(spikes=found[0], v_mem=found[1], sizes=(sizes[0], sizes[1]))

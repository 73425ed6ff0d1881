"""Connections between cores as the compiled backward pass reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.training.kernels import ColumnReach, Geometry, RowReach
from toolchain.chips.speck.training.parameters import CoreParameters

__all__ = ["CoreConnection", "connections"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoreConnection:
    """A connection to a core.

    Attributes:
        source: name of the core that sends; None for the input.
        channels: of the core that receives, those of the source.
        geometry: sizes of both maps, pooling and convolution.
        rows, columns: tables of the rows and columns of the source, int64, see ``RowReach`` and
            ``ColumnReach``; columns are [channel][x].
        weight: weights of these channels, float32 (outputs, kernel y * kernel x * channels).
    """

    source: str | None
    channels: slice
    geometry: Geometry
    rows: Array
    columns: Array
    weight: Array


def connections(
    program: SpeckProgram, layer: CoreParameters, values: Mapping[str, Array]
) -> list[CoreConnection]:
    """Return the connections to a core, with its weights in ``values``."""
    core, found = layer.core, []
    weight = layer.weights(values).astype(np.float32)
    outputs, rows, columns = core.output_shape
    for source, target in program.sources(core.name):
        sent = program.input_map if source is None else source.output_shape
        channels = slice(target.feature_shift, target.feature_shift + sent[0])
        geometry = Geometry(
            source_height=sent[1],
            source_width=sent[2],
            source_channels=sent[0],
            side=target.pooling,
            height=core.input_shape[1],
            width=core.input_shape[2],
            rows=rows,
            columns=columns,
            outputs=outputs,
            kernel_y=weight.shape[2],
            kernel_x=weight.shape[3],
            stride_y=core.stride[0],
            stride_x=core.stride[1],
            pad_y=core.padding[0],
            pad_x=core.padding[1],
        )
        by_channel = weight[:, channels].transpose(0, 2, 3, 1).reshape(outputs, -1)
        name = None if source is None else source.name
        found.append(
            CoreConnection(
                source=name,
                channels=channels,
                geometry=geometry,
                rows=_row_table(geometry),
                columns=_column_table(geometry),
                weight=np.ascontiguousarray(by_channel),
            )
        )
    return found


def _reach(
    size: int, side: int, kernel: int, stride: int, padding: int, reached: int
) -> tuple[Array, Array, Array]:
    """Return for each source row the first kernel row, the line of neurons and their number.

    Args:
        size, side: rows of the source, and of a pooling window.
        kernel, stride, padding: of the convolution.
        reached: lines of neurons.
    """
    at = np.arange(size) // side + padding
    last = np.minimum(at // stride, reached - 1)
    first = np.maximum(0, -((kernel - 1 - at) // stride))
    covered = np.arange(size) < size // side * side
    return at - last * stride, last, np.where(covered, np.maximum(0, last - first + 1), 0)


def _row_table(g: Geometry) -> Array:
    table = np.zeros((g.source_height, len(RowReach)), np.int64)
    reach = _reach(g.source_height, g.side, g.kernel_y, g.stride_y, g.pad_y, g.rows)
    table[:, RowReach.KERNEL], table[:, RowReach.LINE], table[:, RowReach.COUNT] = reach
    return table


def _column_table(g: Geometry) -> Array:
    reach = _reach(g.source_width, g.side, g.kernel_x, g.stride_x, g.pad_x, g.columns)
    kernel, place, count = reach
    table = np.zeros((g.source_channels, g.source_width, len(ColumnReach)), np.int64)
    table[..., ColumnReach.CHANNEL] = np.arange(g.source_channels)[:, None]
    # weights are reversed: neighbouring neurons of a line meet neighbouring weights
    if g.stride_x == 1:
        kernel, place = kernel + count - 1, place - count + 1
        table[..., ColumnReach.LENGTH] = count * g.outputs
        table[..., ColumnReach.COUNT] = count > 0
    else:
        table[..., ColumnReach.LENGTH] = g.outputs
        table[..., ColumnReach.COUNT] = count
    table[..., ColumnReach.WEIGHT] = (g.kernel_x - 1 - kernel) * g.outputs
    table[..., ColumnReach.NEURON] = place * g.outputs
    table[..., ColumnReach.WEIGHT_STEP] = -g.stride_x * g.outputs
    table[..., ColumnReach.NEURON_STEP] = -g.outputs
    return table.reshape(-1, len(ColumnReach))

"""Connections between cores as the compiled backward pass reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.training.kernels import Geometry
from toolchain.chips.speck.training.parameters import CoreParameters

__all__ = ["Connection", "connections"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Connection:
    """A connection to a core.

    Attributes:
        source: name of the core that sends; None for the input.
        channels: of the core that receives, those of the source.
        geometry: sizes of both maps, pooling and convolution.
        weight: weights of these channels, float32 (outputs, kernel y * kernel x * channels).
    """

    source: str | None
    channels: slice
    geometry: Geometry
    weight: Array


def connections(
    program: SpeckProgram, layer: CoreParameters, values: Mapping[str, Array]
) -> list[Connection]:
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
            Connection(
                source=name,
                channels=channels,
                geometry=geometry,
                weight=np.ascontiguousarray(by_channel),
            )
        )
    return found

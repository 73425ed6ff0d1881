"""Layout of one core for dense convolution in 8 bits (see ``dense``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.program import SpeckCore
from toolchain.chips.speck.simulate.tables import CoreField

__all__ = ["TILE", "DenseLayout"]

TILE = 4
"""Units, each the results of 16 output channels at one place, that are computed together."""

_BLOCK = LANES // 2
"""Output channels of a unit."""
_QUAD = 4
"""Products of a unit and instruction, for each output."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseLayout:
    """Layout of a core: the padded map of counts [y][x][channel], and weights in groups of four.

    The counts that one result reads in a row of the kernel are contiguous, [x][channel]; they are
    read in groups of four.
    """

    core: SpeckCore

    @property
    def pitch(self) -> int:
        """Counts of a row of the map."""
        return int(self.core.input_shape[2] + 2 * self.core.padding[1]) * self.core.input_shape[0]

    @property
    def size(self) -> int:
        """Length of the map, with space to read whole tiles."""
        rows = self.core.input_shape[1] + 2 * self.core.padding[0]
        beyond = TILE * self.core.stride[1] * self.core.input_shape[0] + _QUAD * self._quads
        return int(-(-(rows * self.pitch + beyond) // LANES) * LANES)

    @property
    def _blocks(self) -> int:
        return int(-(-self.core.weight.shape[0] // _BLOCK))

    @property
    def _quads(self) -> int:
        return int(-(-self.core.weight.shape[1] * self.core.weight.shape[3] // _QUAD))

    @property
    def _block_size(self) -> int:
        return int(self.core.weight.shape[2]) * self._quads * _BLOCK * _QUAD

    @property
    def operations(self) -> int:
        """Vector multiplications of a step."""
        height, width = self.core.output_shape[1:]
        units, outer = (width, self._blocks) if self._along_line else (self._blocks, width)
        tiles = height * outer * -(-units // TILE)
        return int(tiles * TILE * self.core.weight.shape[2] * self._quads)

    @property
    def _along_line(self) -> bool:
        """True for tiles of neighbours of a line, False for tiles of blocks of channels."""
        width = self.core.output_shape[2]
        return -(-width // TILE) * self._blocks <= -(-self._blocks // TILE) * width

    def weights(self) -> Array:
        """Return the weights of the core as ``arranged``."""
        return self.arranged(self.core.weight)

    def arranged(self, weight: Array) -> Array:
        """Return [block of 16 outputs][kernel y][group][output][one of four], padded with zeros.

        ``weight`` has the shape of the core's, and the result its type.
        """
        outputs, inputs, height, width = weight.shape
        filled = np.zeros((self._blocks * _BLOCK, height, self._quads * _QUAD), weight.dtype)
        rows = weight.transpose(0, 2, 3, 1).reshape(outputs, height, width * inputs)
        filled[:outputs, :, : width * inputs] = rows
        split = filled.reshape(self._blocks, _BLOCK, height, self._quads, _QUAD)
        return split.transpose(0, 2, 3, 1, 4).ravel()

    @property
    def slack(self) -> int:
        """Weights that a tile reads beyond the last."""
        return TILE * self._block_size

    def fields(self) -> dict[CoreField, int]:
        """Return the properties of a core that belong to dense convolution."""
        outputs, channels = self.core.output_shape[0], self.core.input_shape[0]
        width = self.core.output_shape[2]
        place = (width, self.core.stride[1] * channels, 0, outputs)
        block = (self._blocks, 0, self._block_size, _BLOCK)
        unit, outer = (place, block) if self._along_line else (block, place)
        names = (
            (
                CoreField.UNITS,
                CoreField.UNIT_COUNTS,
                CoreField.UNIT_WEIGHT,
                CoreField.UNIT_MEMBRANE,
            ),
            (
                CoreField.OUTER,
                CoreField.OUTER_COUNTS,
                CoreField.OUTER_WEIGHT,
                CoreField.OUTER_MEMBRANE,
            ),
        )
        sums = np.abs(self.core.weight.astype(np.int64)).sum((1, 2, 3))
        return {
            **dict(zip(names[0], unit, strict=True)),
            **dict(zip(names[1], outer, strict=True)),
            CoreField.KERNEL_ROWS: self.core.weight.shape[2],
            CoreField.QUADS: self._quads,
            CoreField.MAP_PITCH: self.pitch,
            CoreField.MAP_STEP: self.core.stride[0] * self.pitch,
            CoreField.MAP_SIZE: self.size,
            CoreField.MOST_SUM: int(sums.max(initial=0)),
        }

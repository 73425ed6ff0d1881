"""Layout of one core in the flat arrays of the compiled simulations (see ``kernel``)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.program import SpeckCore
from toolchain.chips.speck.simulate.tables import ColumnField, RowField

__all__ = ["CoreLayout"]


@dataclass(slots=True, kw_only=True, eq=False)
class CoreLayout:
    """Layout of a core: margins before and after each line of neurons, and its weights.

    Raises:
        ValueError: the core has 2**31 weights or neurons or more, with padding.
    """

    core: SpeckCore
    before: int = 0
    after: int = 2 * LANES
    runs: list[tuple[int, int]] = field(default_factory=list)
    """For each phase of the stride: number of kernel columns, and start of its run."""
    step: int = 0
    """Weights of a row of the kernel, all runs."""

    def __post_init__(self) -> None:
        outputs, stride = self.core.weight.shape[0], self.core.stride[1]
        for phase in range(stride):
            columns = len(range(phase, self.core.weight.shape[3], stride))
            self.runs.append((columns, self.step))
            self.step += -(-columns * outputs // LANES) * LANES
        _, inputs, height, _ = self.core.weight.shape
        if max(inputs * height, self.core.output_shape[1]) * (self.step + self.line) >= 2**31:
            raise ValueError(
                f"{self.core.name!r} is too large to simulate: with padding it has 2**31 weights "
                "or neurons or more"
            )

    @property
    def line(self) -> int:
        """Neurons of a line."""
        return self.core.output_shape[2] * self.core.output_shape[0]

    @property
    def pitch(self) -> int:
        """Distance from a line to the next."""
        return self.before + self.line + self.after

    def weights(self) -> Array:
        """Return [input channel][kernel y][phase][kernel x reversed][output channel], padded."""
        outputs, inputs, height, _ = self.core.weight.shape
        filled = np.zeros((inputs, height, self.step), np.int8)
        for phase, (columns, start) in enumerate(self.runs):
            run = self.core.weight[..., phase :: self.core.stride[1]][..., ::-1]
            run = run.transpose(1, 2, 3, 0).reshape(inputs, height, columns * outputs)
            filled[..., start : start + columns * outputs] = run
        return filled.ravel()

    def biases(self) -> Array:
        """Return the biases of a line of neurons, [x][channel]; zeros where there are none."""
        channels, _, width = self.core.output_shape
        bias = np.zeros(channels, np.int16) if self.core.bias is None else self.core.bias
        return np.tile(bias, width)

    def neurons(self, start: int) -> Array:
        """Return the index of each neuron, with lines from ``start`` on, [channel][y][x]."""
        channels, height, width = self.core.output_shape
        lines = start + self.before + np.arange(height) * self.pitch
        within = np.arange(self.line).reshape(width, channels)
        return np.asarray((lines[:, None, None] + within).transpose(2, 0, 1).ravel())

    def rows(self, pooling: int, height: int, drop: bool) -> Array:
        """Return the neurons that each source row reaches, (height, fields of RowField)."""
        kernel, stride, padding = (
            self.core.weight.shape[2],
            self.core.stride[0],
            self.core.padding[0],
        )
        y = np.arange(height) // pooling
        first = np.maximum(0, -(-(y + padding - kernel + 1) // stride))
        last = np.minimum((y + padding) // stride, self.core.output_shape[1] - 1)
        table = np.zeros((height, len(RowField)), np.int32)
        table[:, RowField.FIRST] = first
        covered = (y < height // pooling) | (not drop)
        table[:, RowField.COUNT] = np.where(covered, np.maximum(0, last - first + 1), 0)
        table[:, RowField.WEIGHT] = (y + padding - first * stride) * self.step
        return table

    def columns(self, pooling: int, width: int, drop: bool) -> Array:
        """Return the neurons that each source column reaches, (width, channels, ColumnField)."""
        outputs, channels, height, _ = self.core.weight.shape
        x = np.arange(width) // pooling
        at = x + self.core.padding[1]
        runs = np.array(self.runs)[at % self.core.stride[1]]
        right = at // self.core.stride[1]
        left = right - runs[:, 0] + 1
        reached = np.minimum(right, self.core.output_shape[2] - 1) - np.maximum(0, left) + 1
        covered = (x < width // pooling) | (not drop)
        reached = np.where(covered, np.maximum(0, reached), 0)
        table = np.zeros((width, channels, len(ColumnField)), np.int32)
        table[..., ColumnField.WEIGHT] = runs[:, 1, None] + np.arange(channels) * height * self.step
        table[..., ColumnField.MEMBRANE] = (left * outputs)[:, None]
        vectors = np.where(reached > 0, -(-runs[:, 0] * outputs // LANES), 0)
        table[..., ColumnField.VECTORS] = vectors[:, None]
        table[..., ColumnField.SYNOPS] = (reached * outputs)[:, None]
        table[..., ColumnField.PEAK] = np.abs(self.core.weight.astype(np.int32)).max((0, 2, 3))
        self._make_room(table[table[..., ColumnField.VECTORS] > 0])
        return table

    def _make_room(self, runs: Array) -> None:
        """Enlarge the margins so that no run exceeds them."""
        if runs.size:
            starts = runs[:, ColumnField.MEMBRANE].astype(int)
            ends = starts + runs[:, ColumnField.VECTORS].astype(int) * LANES
            self.before = max(self.before, -int(starts.min()))
            self.after = max(self.after, int(ends.max()) - self.line)

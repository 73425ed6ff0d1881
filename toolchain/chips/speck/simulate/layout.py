"""Layout of one core in the flat arrays of the compiled simulations (see ``kernel``)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.program import SpeckCore
from toolchain.chips.speck.simulate.dense_layout import DenseLayout
from toolchain.chips.speck.simulate.tables import ColumnField, RowField

__all__ = ["CoreLayout"]


@dataclass(slots=True, kw_only=True, eq=False)
class CoreLayout:
    """Layout of a core: margins around the lines of neurons, and its weights.

    A source row reaches every ``stride``-th row of the kernel, those of one *phase*; likewise a
    column.

    Raises:
        ValueError: the core has 2**31 weights or neurons or more, with padding.
    """

    core: SpeckCore
    before: int = 0
    after: int = 2 * LANES
    above: int = 0
    below: int = 0
    lines: int = field(init=False)
    """Kernel rows of the largest phase."""
    phase: int = field(init=False)
    """Weights of a phase of kernel columns, a run with padding."""
    dense: DenseLayout = field(init=False)

    def __post_init__(self) -> None:
        self.dense = DenseLayout(core=self.core)
        outputs, inputs, height, _ = self.core.weight.shape
        self.lines = -(-height // self.core.stride[0])
        vectors = -(-self._columns * outputs // LANES)
        # a run that is read from its middle on needs a vector of zeros behind it
        self.phase = (vectors + self._clips) * LANES
        kernel = inputs * self.core.stride[0] * self.lines
        if max(kernel, self.core.output_shape[1]) * (self.step + self.line) >= 2**31:
            raise ValueError(
                f"{self.core.name!r} is too large to simulate: with padding it has 2**31 weights "
                "or neurons or more"
            )

    @property
    def _columns(self) -> int:
        """Kernel columns of the largest phase."""
        return int(-(-self.core.weight.shape[3] // self.core.stride[1]))

    @property
    def _clips(self) -> bool:
        """True if runs end at the borders, because a line is shorter than the run."""
        return self.core.output_shape[2] < self._columns

    @property
    def step(self) -> int:
        """Weights of a row of the kernel, all phases."""
        return self.core.stride[1] * self.phase

    @property
    def line(self) -> int:
        """Neurons of a line."""
        return self.core.output_shape[2] * self.core.output_shape[0]

    @property
    def pitch(self) -> int:
        """Distance from a line to the next, whole vectors so that lines are aligned."""
        return -(-(self.before + self.line + self.after) // LANES) * LANES

    @property
    def height(self) -> int:
        """Lines with those of the margins."""
        return self.above + self.core.output_shape[1] + self.below

    def weights(self) -> Array:
        """Return the weights of the core as ``arranged``."""
        return self.arranged(self.core.weight)

    def arranged(self, weight: Array) -> Array:
        """Return [input channel][phase][line][phase][kernel x reversed][output channel], padded.

        A line is a row of the kernel; they are reversed too, in the order of the lines of neurons.
        ``weight`` has the shape of the core's, and the result its type.
        """
        outputs, inputs, height, width = weight.shape
        down, right = self.core.stride
        filled = np.zeros((inputs, down, self.lines, right, self.phase), weight.dtype)
        for row in range(height):
            line = self.lines - 1 - row // down
            for phase in range(min(right, width)):
                run = weight[:, :, row, phase::right][..., ::-1]
                run = run.transpose(1, 2, 0).reshape(inputs, -1)
                # the first of a shorter phase is not reached
                start = self._columns * outputs - run.shape[1]
                filled[:, row % down, line, phase, start : start + run.shape[1]] = run
        return filled.ravel()

    def biases(self) -> Array:
        """Return the biases of a line of neurons, [x][channel]; zeros where there are none."""
        channels, _, width = self.core.output_shape
        bias = np.zeros(channels, np.int16) if self.core.bias is None else self.core.bias
        return np.tile(bias, width)

    def neurons(self, start: int) -> Array:
        """Return the index of each neuron, with lines from ``start`` on, [channel][y][x]."""
        channels, height, width = self.core.output_shape
        lines = start + self.before + (self.above + np.arange(height)) * self.pitch
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
        top = (y + padding) // stride - self.lines + 1
        first = np.maximum(0, -(-(y + padding - kernel + 1) // stride))
        last = np.minimum((y + padding) // stride, self.core.output_shape[1] - 1)
        covered = (y < height // pooling) | (not drop)
        count = np.where(covered, np.maximum(0, last - first + 1), 0)
        phase = (y + padding) % stride * self.lines * self.step
        table = np.zeros((height, len(RowField)), np.int32)
        table[:, RowField.FIRST] = first
        table[:, RowField.COUNT] = count
        table[:, RowField.WEIGHT] = phase + (first - top) * self.step
        table[:, RowField.MAP] = (y + padding) * self.dense.pitch
        whole = self.core.output_shape[1] >= self.lines
        start = np.where(count > 0, top if whole else first, 0)
        table[:, RowField.START] = start
        table[:, RowField.LINES] = np.where(count > 0, self.lines if whole else count, 0)
        table[:, RowField.START_WEIGHT] = phase + (start - top) * self.step
        self.above = max(self.above, -int(start.min()))
        ends = start + table[:, RowField.LINES]
        self.below = max(self.below, int(ends.max()) - self.core.output_shape[1])
        return table

    def columns(self, pooling: int, width: int, drop: bool) -> Array:
        """Return the neurons that each source column reaches, (width, channels, ColumnField)."""
        outputs, channels, *_ = self.core.weight.shape
        x = np.arange(width) // pooling
        at = x + self.core.padding[1]
        right, phase = np.divmod(at, self.core.stride[1])
        shorter = self._columns - -(-(self.core.weight.shape[3] - phase) // self.core.stride[1])
        left = right - self._columns + 1
        first = np.maximum(0, left + shorter)
        last = np.minimum(right, self.core.output_shape[2] - 1)
        covered = (x < width // pooling) | (not drop)
        reached = np.where(covered, np.maximum(0, last - first + 1), 0)
        start = first if self._clips else left
        length = reached if self._clips else self._columns
        table = np.zeros((width, channels, len(ColumnField)), np.int32)
        weight = phase * self.phase + (start - left) * outputs
        channel = np.arange(channels) * self.core.stride[0] * self.lines * self.step
        table[..., ColumnField.WEIGHT] = weight[:, None] + channel
        table[..., ColumnField.MEMBRANE] = (start * outputs)[:, None]
        table[..., ColumnField.FIRST] = (first * outputs)[:, None]
        vectors = np.where(reached > 0, -(-length * outputs // LANES), 0)
        table[..., ColumnField.VECTORS] = vectors[:, None]
        table[..., ColumnField.SYNOPS] = (reached * outputs)[:, None]
        table[..., ColumnField.PEAK] = np.abs(self.core.weight.astype(np.int32)).max((0, 2, 3))
        table[..., ColumnField.MAP] = at[:, None] * channels + np.arange(channels)
        table[..., ColumnField.TOUCHED] = self._parts(start * outputs, vectors)[:, None]
        self._make_room(table[table[..., ColumnField.VECTORS] > 0])
        return table

    @property
    def part(self) -> int:
        """Neurons of a part of a line; there are at most 32."""
        return -(-self.line // (32 * LANES)) * LANES

    def _parts(self, start: Array, vectors: Array) -> Array:
        """Return the parts of a line that runs of vectors reach, as bits, int32."""
        first = np.maximum(start, 0) // self.part
        last = np.minimum(start + vectors * LANES, self.line) - 1
        last = np.maximum(last // self.part, first)
        bits = (np.int64(1) << (last + 1)) - (np.int64(1) << first)
        return np.where(vectors > 0, bits, 0).astype(np.uint32).view(np.int32)

    def _make_room(self, runs: Array) -> None:
        """Enlarge the margins so that no run exceeds them."""
        if runs.size:
            starts = runs[:, ColumnField.MEMBRANE].astype(int)
            ends = starts + runs[:, ColumnField.VECTORS].astype(int) * LANES
            self.before = max(self.before, -(int(starts.min()) // LANES) * LANES)
            self.after = max(self.after, int(ends.max()) - self.line)

"""Linear maps from one map of features to another that are a convolution, and their composition.

A :class:`Window` computes, for maps (channels, y, x) and along each axis alike,

    y[o, i] = sum over c, u of kernel[o, c, u] x[c, i stride + u - before],

with x zero outside its map. Composing two is exact where what the second reads outside the map
between them is zero for the first as well; elsewhere there is no such convolution. Every function
here returns None where the result is no Window, or one of more than ``most`` numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from operator import add, mul, sub

import numpy as np

from toolchain.arrays import Array, Shape

__all__ = ["Taps", "Window", "map_of"]

Pair = tuple[int, int]


def map_of(shape: Shape) -> tuple[int, int, int] | None:
    """Return (channels, y, x) of features: rows are one high, single features are 1 x 1 maps.

    >>> map_of((8,)), map_of((8, 20)), map_of((8, 4, 5))
    ((8, 1, 1), (8, 1, 20), (8, 4, 5))
    """
    if not 1 <= len(shape) <= 3:
        return None
    channels, *sides = shape
    height, width = (*(1,) * (2 - len(sides)), *sides)
    return channels, height, width


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taps:
    """One convolution to compose with: weights (outputs, inputs / groups, y, x)."""

    weight: Array
    size: Pair
    stride: Pair = (1, 1)
    before: Pair = (0, 0)
    groups: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """A convolution from ``source`` to a map of ``size``.

    Attributes:
        kernel: (outputs, inputs, y, x).
        stride: (y, x).
        before: rows and columns of zeros before the source; negative where it is cropped.
        source: (channels, y, x) of what it reads.
        size: (y, x) of its output.

    >>> row = Window.identity((1, 1, 8))
    >>> pair = Taps(weight=np.ones((1, 1, 1, 2)), size=(1, 4), stride=(1, 2))
    >>> three = Taps(weight=np.ones((1, 1, 1, 3)), size=(1, 4), before=(0, 1))
    >>> both = row.then(pair, 100).then(three, 100)
    >>> both.kernel.ravel().tolist(), both.stride, both.before
    ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0], (1, 2), (0, 2))
    """

    kernel: Array
    stride: Pair
    before: Pair
    source: tuple[int, int, int]
    size: Pair

    @classmethod
    def identity(cls, shape: tuple[int, int, int]) -> Window:
        """Return the window that copies a map."""
        return cls(
            kernel=np.eye(shape[0])[:, :, None, None],
            stride=(1, 1),
            before=(0, 0),
            source=shape,
            size=shape[1:],
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, y, x) of the output."""
        return len(self.kernel), *self.size

    def same_as(self, other: Window) -> bool:
        """Return whether both compute the same of maps of one shape."""
        mine, theirs = ((w.stride, w.before, w.source, w.size) for w in (self, other))
        return mine == theirs and np.array_equal(self.kernel, other.kernel)

    def scaled(self, factor: Array) -> Window:
        """Return the window times one factor for each output channel."""
        return replace(self, kernel=self.kernel * factor[:, None, None, None])

    def channels(self, before: int, after: int) -> Window:
        """Return the window with channels of zeros added, or channels removed, at both ends."""
        kept = self.kernel[max(-before, 0) : len(self.kernel) - max(-after, 0)]
        ends = [(max(before, 0), max(after, 0)), (0, 0), (0, 0), (0, 0)]
        return replace(self, kernel=np.pad(kept, ends))

    def beside(self, before: int, after: int) -> Window:
        """Return the window for a source with more channels at both ends, which it ignores."""
        kernel = np.pad(self.kernel, [(0, 0), (before, after), (0, 0), (0, 0)])
        channels, *sides = self.source
        source = (before + channels + after, sides[0], sides[1])
        return replace(self, kernel=kernel, source=source)

    def plus(self, other: Window, most: int) -> Window | None:
        """Return the sum of both, which read the same source."""
        if self.shape != other.shape or self.source != other.source:
            return None
        steps = [*zip(self.stride, other.stride, self.size, strict=True)]
        if any(a != b and size > 1 for a, b, size in steps):
            return None
        before = _both(max, self.before, other.before)
        ends = [_both(sub, w.kernel.shape[2:], w.before) for w in (self, other)]
        sides = _both(add, before, _both(max, *ends))
        shape = (*self.kernel.shape[:2], *sides)
        if prod(shape) > most:
            return None
        kernel = np.zeros(shape)
        for window in (self, other):
            top, left = _both(sub, before, window.before)
            height, width = window.kernel.shape[2:]
            kernel[:, :, top : top + height, left : left + width] += window.kernel
        stride = _both(max, self.stride, other.stride)
        return replace(self, kernel=kernel, stride=stride, before=before)

    def then(self, taps: Taps, most: int) -> Window | None:
        """Return this window followed by ``taps``."""
        weight, before = _trimmed(taps.weight, taps.before)
        taps = replace(taps, weight=weight, before=before)
        if not all(self._reads_zeros_alone(taps, axis) for axis in (0, 1)):
            return None
        sides = _both(mul, self.stride, [k - 1 for k in weight.shape[2:]])
        sides = _both(add, sides, self.kernel.shape[2:])
        if prod((len(weight), self.source[0], *sides)) > most:
            return None
        stride = _both(mul, self.stride, taps.stride)
        before = _both(add, self.before, _both(mul, self.stride, taps.before))
        kernel, before = _trimmed(self._kernel_behind(taps, sides), before)
        return replace(self, kernel=kernel, stride=stride, before=before, size=taps.size)

    def _reads_zeros_alone(self, taps: Taps, axis: int) -> bool:
        """Return whether what ``taps`` read beyond this output would be zero on a larger map."""
        used = np.flatnonzero(taps.weight.any(axis=(0, 1, 3 - axis)))
        steps = np.arange(taps.size[axis])[:, None] * taps.stride[axis]
        read = steps + used - taps.before[axis]
        outside = read[(read < 0) | (read >= self.size[axis])]
        first = outside * self.stride[axis] - self.before[axis]
        last = first + self.kernel.shape[2 + axis] - 1
        return bool(np.all((last < 0) | (first >= self.source[1 + axis])))

    def _kernel_behind(self, taps: Taps, sides: Pair) -> Array:
        """Return the kernel of this window followed by ``taps``, tap by tap."""
        if self._copies() and taps.groups == 1:
            return taps.weight
        outputs, inputs, groups = len(taps.weight), self.source[0], taps.groups
        height, width = self.kernel.shape[2:]
        each = self.kernel.reshape(groups, len(self.kernel) // groups, -1)
        kernel = np.zeros((outputs, inputs, *sides))
        for y, x in np.ndindex(*taps.weight.shape[2:]):
            tap = taps.weight[:, :, y, x].reshape(groups, outputs // groups, -1)
            top, left = y * self.stride[0], x * self.stride[1]
            kernel[:, :, top : top + height, left : left + width] += (tap @ each).reshape(
                outputs, inputs, height, width
            )
        return kernel

    def _copies(self) -> bool:
        plain = self.kernel.shape == (*self.source[:1] * 2, 1, 1) and self.size == self.source[1:]
        return (
            plain
            and self.stride == (1, 1)
            and self.before == (0, 0)
            and np.array_equal(self.kernel[:, :, 0, 0], np.eye(self.source[0]))
        )

    def as_convolution(self) -> tuple[Array, Pair, Pair]:
        """Return kernel, stride and padding of a convolution with equal padding on both ends.

        The kernel has the fewest rows and columns of zeros that this takes.
        """
        borders = [self._border(axis) for axis in (0, 1)]
        kernel = np.pad(self.kernel, [(0, 0), (0, 0), *(border for border, _ in borders)])
        return kernel, self.stride, (borders[0][1], borders[1][1])

    def _border(self, axis: int) -> tuple[Pair, int]:
        """Return the zeros before and after the kernel, and the padding."""
        stride, outputs = self.stride[axis], self.size[axis]
        before = max(0, -self.before[axis])
        while True:
            padding = self.before[axis] + before
            kernel = self.kernel.shape[2 + axis] + before
            unread = self.source[1 + axis] + 2 * padding - kernel - stride * (outputs - 1)
            if unread >= 0:
                return (before, max(0, unread - stride + 1)), padding
            before += 1

    def as_matrix(self) -> Array:
        """Return the weights (outputs, features of the source) of a window of one output pixel."""
        whole = np.zeros((len(self.kernel), *self.source))
        axes = []
        for axis in (0, 1):
            read = np.arange(self.kernel.shape[2 + axis]) - self.before[axis]
            inside = (read >= 0) & (read < self.source[1 + axis])
            axes.append((read[inside], np.flatnonzero(inside)))
        (to_y, y), (to_x, x) = axes
        whole[:, :, to_y[:, None], to_x] = self.kernel[:, :, y[:, None], x]
        return whole.reshape(len(whole), -1)


def _both(function: Callable[[int, int], int], one: Sequence[int], two: Sequence[int]) -> Pair:
    """Return ``function`` of the numbers of each axis."""
    return function(one[0], two[0]), function(one[1], two[1])


def _trimmed(kernel: Array, before: Pair) -> tuple[Array, Pair]:
    """Return the kernel without rows and columns of zeros at its border."""
    cut, first = [], []
    for axis in (2, 3):
        others = tuple(other for other in range(4) if other != axis)
        used = np.flatnonzero(kernel.any(axis=others))
        start, stop = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
        cut.append(slice(start, stop))
        first.append(start)
    return kernel[:, :, cut[0], cut[1]], (before[0] - first[0], before[1] - first[1])

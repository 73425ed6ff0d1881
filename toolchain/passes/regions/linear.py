"""The linear part of each node without state, its shift, and both as a Window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Flatten,
    Identity,
    Linear,
    Node,
    Pad,
    Permute,
    Reshape,
    Scale,
    SumPool2d,
)
from toolchain.passes.regions.window import Taps, Window, map_of
from toolchain.runs.evaluate import evaluate

__all__ = ["AFFINE", "WEIGHTS", "View", "linear_part", "shift_of"]

WEIGHTS = (Linear, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d)
REARRANGED = (Flatten, Identity, Permute, Reshape)
AFFINE = (*WEIGHTS, *REARRANGED, Add, BatchNorm, Pad, Scale, SumPool2d)
"""Nodes that compute an affine map of their inputs."""


def linear_part(node: Node) -> Node:
    """Return the node without what it adds to its input.

    >>> linear_part(Linear(weight=[[2.0]], bias=[1.0])).bias is None
    True
    """
    if isinstance(node, WEIGHTS) and node.bias is not None:
        return replace(node, bias=None)
    if isinstance(node, BatchNorm):
        nothing = np.zeros_like(node.beta)
        return replace(node, mean=nothing, beta=nothing)
    return node


def shift_of(node: Node, input_shape: Shape) -> Array | None:
    """Return what a node adds in each timestep, of the shape of its output; None for nothing."""
    if not isinstance(node, BatchNorm) and getattr(node, "bias", None) is None:
        return None
    return np.asarray(evaluate(node, [np.zeros((1, 1, *input_shape))])[0, 0])


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The output of a Window as the features of a node, in C order and of any shape.

    >>> flat = View(Window.identity((2, 4, 4)), (2, 4, 4)).through(Flatten(), 100)
    >>> flat.shape, flat.window.shape, flat.is_map
    ((32,), (2, 4, 4), False)
    """

    window: Window
    shape: Shape

    @property
    def is_map(self) -> bool:
        """True if the axes of the features are those of the window's map."""
        return map_of(self.shape) == self.window.shape

    def plus(self, other: View, most: int) -> View | None:
        """Return the sum of both, which have the same source and shape."""
        return _view(self.window.plus(other.window, most), self.shape)

    def through(self, node: Node, most: int) -> View | None:
        """Return the features behind ``node``, without what it adds; None if no Window gives them.

        >>> row = View(Window.identity((1, 2, 2)), (1, 2, 2)).through(Flatten(), 100)
        >>> row.through(Linear(weight=[[1.0, 2.0, 3.0, 4.0]]), 100).window.kernel.tolist()
        [[[[1.0, 2.0], [3.0, 4.0]]]]
        """
        shape = node.output_shape(self.shape)
        if isinstance(node, REARRANGED):
            return View(self.window, shape) if _keeps_order(node, self.shape) else None
        if isinstance(node, Linear):
            weight = node.weight.reshape(-1, *self.window.shape)
            taps = Taps(weight=weight.astype(np.float64), size=(1, 1))
            return _view(self.window.then(taps, most), shape)
        if isinstance(node, (Scale, BatchNorm)):
            return self._scaled(node)
        if isinstance(node, Pad):
            return self._padded(node, shape, most)
        found = map_of(shape)
        taps_of_node = _taps(node, self.shape, shape) if self.is_map and found else None
        return None if taps_of_node is None else _view(self.window.then(taps_of_node, most), shape)

    def _scaled(self, node: Scale | BatchNorm) -> View | None:
        each = evaluate(linear_part(node), [np.ones((1, 1, *self.shape))])
        rows = each.reshape(self.window.shape[0], -1)
        if np.any(rows != rows[:, :1]):
            return None
        return View(self.window.scaled(rows[:, 0]), self.shape)

    def _padded(self, node: Pad, shape: Shape, most: int) -> View | None:
        """Return the padded features; those of a flattened map in whole channels only."""
        pixels = prod(self.window.size)
        if len(self.shape) == 1:
            (before, odd), (after, rest) = (divmod(n[0], pixels) for n in (node.before, node.after))
            return None if odd or rest else View(self.window.channels(before, after), shape)
        found = map_of(shape)
        if not self.is_map or found is None:
            return None
        window = self.window.channels(node.before[0], node.after[0])
        top, left = (*(0,) * (3 - len(shape)), *node.before[1:])
        ones = np.ones((found[0], 1, 1, 1))
        taps = Taps(weight=ones, size=found[1:], before=(top, left), groups=found[0])
        return _view(window.then(taps, most), shape)


def _view(window: Window | None, shape: Shape) -> View | None:
    return None if window is None else View(window, shape)


def _keeps_order(node: Node, shape: Shape) -> bool:
    """Return whether the features stay in their order."""
    if not isinstance(node, Permute):
        return True
    moved = [axis for axis in node.axes if shape[axis] > 1]
    return moved == sorted(moved)


def _taps(node: Node, given: Shape, shape: Shape) -> Taps | None:
    """Return a convolution or pool that reads ``given``; None for others."""
    found = map_of(shape)
    assert found is not None
    size = found[1:]
    if isinstance(node, SumPool2d):
        value = 1.0 / prod(node.kernel) if isinstance(node, AvgPool2d) else 1.0
        weight = np.full((given[0], 1, *node.kernel), value)
        return Taps(weight=weight, size=size, stride=node.stride, groups=given[0])
    if isinstance(node, (Conv1d, Conv2d)):
        return Taps(
            weight=_spread(node),
            size=size,
            stride=_pair(node.stride, 1),
            before=_pair(node.padding, 0),
            groups=node.groups,
        )
    if isinstance(node, (ConvTranspose1d, ConvTranspose2d)):
        return _transposed(node, given, size)
    return None


def _transposed(
    node: ConvTranspose1d | ConvTranspose2d, given: Shape, size: tuple[int, int]
) -> Taps | None:
    """Return the convolution with the kernel turned round; None if it spreads its input."""
    stride = (node.stride,) if isinstance(node.stride, int) else node.stride
    if any(step > 1 and side > 1 for step, side in zip(stride, given[1:], strict=True)):
        return None
    inputs, outputs, *_ = node.weight.shape
    groups, spread = node.groups, _spread(node)
    sides = spread.shape[2:]
    by_group = spread.reshape(groups, inputs // groups, outputs, *sides).swapaxes(1, 2)
    weight = by_group.reshape(groups * outputs, inputs // groups, *sides)[:, :, ::-1, ::-1]
    padding = _pair(node.padding, 0)
    before = sides[0] - 1 - padding[0], sides[1] - 1 - padding[1]
    return Taps(weight=weight, size=size, before=before, groups=groups)


def _spread(node: Conv1d | Conv2d | ConvTranspose1d | ConvTranspose2d) -> Array:
    """Return the weight (.., .., y, x) with the gaps of its dilation filled with zeros."""
    weight = node.weight if node.weight.ndim == 4 else node.weight[:, :, None]
    dilation = _pair(node.dilation, 1)
    sides = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    spread = np.zeros((*weight.shape[:2], *sides))
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread


def _pair(value: int | tuple[int, int], of_height: int) -> tuple[int, int]:
    """Return (y, x) of a setting; along one axis, maps are one row high."""
    return (of_height, value) if isinstance(value, int) else value

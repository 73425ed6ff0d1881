"""Convolutions that a core has no field for, written as one dense square kernel, exactly.

Groups and dilation are gaps in a dense kernel, and a kernel that is not square is a square one
with a border. Both are filled with zeros. The clocked simulation is unchanged; on the chip a zero
needs a word of memory and, for each event, an update like any other weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.chips.speck.spec import SpeckLimits
from toolchain.ir import Conv2d

__all__ = ["Kernel", "dense"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernel:
    """Weights, stride and padding that a core is configured with.

    Attributes:
        weight: (outputs, inputs, y, x).
        stride, padding: (y, x).
    """

    weight: Array
    stride: tuple[int, int]
    padding: tuple[int, int]


def dense(node: Conv2d, shape: Shape, limits: SpeckLimits) -> Kernel:
    """Return the convolution without groups and dilation, and square where possible.

    Args:
        node: the convolution.
        shape: (channels, y, x) of its input.
        limits: limits of the chip.

    Ensures: the same output for the same input. Zeros before the kernel are compensated by as much
    padding, so that sides of different parity have no square form unless the stride leaves rows
    unused or the output is one pixel wide, which allows any stride. A kernel without a square
    form keeps its sides.
    """
    full = Kernel(weight=_filled(node), stride=node.stride, padding=node.padding)
    height, width = full.weight.shape[2:]
    if height == width:
        return full
    for side in range(max(height, width), int(limits.kernel_size.value) + 1):
        rows = _border(full, 0, shape[1], side, limits)
        columns = _border(full, 1, shape[2], side, limits)
        if rows is not None and columns is not None:
            return _bordered(full, side, rows, columns)
    return full


def _filled(node: Conv2d) -> Array:
    """Return the kernel with zeros in the gaps of groups and dilation: (outputs, inputs, y, x)."""
    outputs, inputs, *sides = node.weight.shape
    spans = [d * (k - 1) + 1 for k, d in zip(sides, node.dilation, strict=True)]
    filled = np.zeros((outputs, inputs * node.groups, *spans), node.weight.dtype)
    for group in range(node.groups):
        to = slice(group * outputs // node.groups, (group + 1) * outputs // node.groups)
        into = filled[to, group * inputs : (group + 1) * inputs]
        into[..., :: node.dilation[0], :: node.dilation[1]] = node.weight[to]
    return filled


def _border(
    kernel: Kernel, axis: int, size: int, side: int, limits: SpeckLimits
) -> tuple[int, int] | None:
    """Return (zeros before the kernel, stride) for which ``side`` gives the same map, or None."""
    stride, padding = kernel.stride[axis], kernel.padding[axis]
    span = kernel.weight.shape[2 + axis]
    outputs = (size + 2 * padding - span) // stride + 1
    strides = [stride, *limits.strides.values] if outputs == 1 else [stride]
    for before in range(side - span + 1):
        if before and padding + before > limits.padding.value:
            break
        for step in strides:
            if (size + 2 * (padding + before) - side) // step + 1 == outputs:
                return before, step
    return None


def _bordered(kernel: Kernel, side: int, rows: tuple[int, int], columns: tuple[int, int]) -> Kernel:
    outputs, inputs, height, width = kernel.weight.shape
    weight = np.zeros((outputs, inputs, side, side), kernel.weight.dtype)
    weight[..., rows[0] : rows[0] + height, columns[0] : columns[0] + width] = kernel.weight
    return Kernel(
        weight=weight,
        stride=(rows[1], columns[1]),
        padding=(kernel.padding[0] + rows[0], kernel.padding[1] + columns[0]),
    )

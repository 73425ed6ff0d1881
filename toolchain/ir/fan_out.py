"""Number of outputs of a weight that one input spike reaches.

Everything is counted along one axis at a time. A kernel position (tap) takes an input position to
at most one output position, so ``taps`` is a boolean table, and the outputs that a spike reaches in
two or three dimensions are the product of the tables of the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from toolchain.arrays import Array

__all__ = ["conv_fan_out", "conv_outputs", "fan_out", "reach", "synapses", "taps"]


def conv_outputs(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Return the output positions of a convolution along one axis of ``size`` positions."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def taps(
    size: int,
    outputs: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int = 1,
    transposed: bool = False,
) -> Array:
    """Return which taps take an input position to an existing output, bool (size, kernel).

    Input position p and tap k meet at output o with ``o stride + k dilation - padding = p`` in a
    convolution, and ``o = p stride + k dilation - padding`` in a transposed one. ``padding`` is
    the padding before the first position.

    Source: PyTorch's documentation of ``Conv2d`` and ``ConvTranspose2d``.
    """
    position, offset = np.arange(size)[:, None], dilation * np.arange(kernel)
    if transposed:
        reached = position * stride + offset - padding
        return np.asarray((reached >= 0) & (reached < outputs))
    before_stride = position + padding - offset
    reached, remainder = np.divmod(before_stride, stride)
    return np.asarray((remainder == 0) & (reached >= 0) & (reached < outputs))


def reach(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> Array:
    """Return the number of outputs that each of ``size`` positions of an axis contributes to."""
    outputs = conv_outputs(size, kernel, stride, padding, dilation)
    return np.asarray(taps(size, outputs, kernel, stride, padding, dilation).sum(axis=1))


def synapses(
    weight_shape: Sequence[int],
    groups: int = 1,
    transposed: bool = False,
    connected: Array | None = None,
) -> Array:
    """Count the output channels that each input channel feeds by tap, int (channels, *kernel).

    Args:
        weight_shape: (outputs, inputs / groups, *kernel), or (inputs, outputs / groups, *kernel)
            of a transposed convolution.
        groups: number of groups of channels.
        transposed: True for a transposed convolution.
        connected: bool of the weight's shape, which weights exist; None means all.
    """
    if connected is None:
        connected = np.ones(weight_shape, dtype=bool)
    if transposed:
        return np.asarray(connected.sum(axis=1))
    outputs, inputs, *kernel = weight_shape
    by_group = connected.reshape(groups, outputs // groups, inputs, *kernel)
    return np.asarray(by_group.sum(axis=1).reshape(groups * inputs, *kernel))


def fan_out(synapses: Array, axes: Sequence[Array]) -> Array:
    """Count the synapses that a spike at each input position drives, int (channels, *sizes).

    Args:
        synapses: output channels by input channel and tap, (channels, *kernel).
        axes: the ``taps`` of each spatial axis, (size, kernel).
    """
    driven = synapses
    for axis in axes:
        # sums over the first kernel axis left, and puts the positions last
        driven = np.tensordot(driven, axis.astype(driven.dtype), axes=([1], [1]))
    return np.asarray(driven)


def conv_fan_out(
    input_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] | None = None,
    groups: int = 1,
) -> Array:
    """Count the outputs reached by a spike at each position of a convolution's input, exactly.

    The same for every input channel: the outputs in space times the output channels a channel
    is connected to, ``weight_shape[0] / groups``. Weights of zero count.

    Args:
        input_shape: (channels, *sizes), of one axis or two.
        weight_shape: (outputs, inputs / groups, *kernel).
        stride: one number an axis.
        padding: one number an axis.
        dilation: one number an axis; None means 1.
        groups: number of groups of channels.
    """
    sizes, kernel = input_shape[1:], weight_shape[2:]
    spread = (1,) * len(sizes) if dilation is None else dilation
    axes = [reach(*axis) for axis in zip(sizes, kernel, stride, padding, spread, strict=True)]
    return np.asarray(weight_shape[0] // groups * reduce(np.multiply.outer, axes))

"""How many outputs of a weight one input spike reaches: the one home of that fact."""

from __future__ import annotations

import numpy as np

from toolchain.ir.nodes import Array

__all__ = ["conv_fan_out", "reach"]


def reach(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> Array:
    """For each of ``size`` positions along one axis, how many outputs it contributes to."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    touched = stride * np.arange(outputs)[:, None] + dilation * np.arange(kernel) - padding
    inside = touched[(touched >= 0) & (touched < size)]
    return np.bincount(inside, minlength=size)


def conv_fan_out(
    input_shape: tuple[int, int, int],
    weight_shape: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Outputs reached by one spike at each position (y, x) of a convolution's input, exactly.

    The same for every input channel: the outputs in space times the output channels a channel
    is connected to, ``weight_shape[0] / groups``. Weights of zero count.
    """
    rows, columns = (
        reach(size, k, s, p, d)
        for size, k, s, p, d in zip(
            input_shape[1:], weight_shape[2:], stride, padding, dilation, strict=True
        )
    )
    return np.asarray(weight_shape[0] // groups * np.outer(rows, columns))

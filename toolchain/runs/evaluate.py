"""Evaluation of the nodes without state, over any number of timesteps at once, in float64."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Flatten,
    Linear,
    Node,
    Pad,
    Permute,
    Reshape,
    Scale,
    Sensor,
    SumPool2d,
)
from toolchain.ir.sensor import sense
from toolchain.runs.convolution import convolve, windows_of

__all__ = ["evaluate"]

AT_ONCE = 2**16
"""Values that are checked at a time: 512 KiB, which the caches hold."""
MOST = 2**31
"""Magnitude below which sums of whole numbers over a pooling window are exact."""


def evaluate(node: Node, inputs: list[Array], silence: tuple[int, int] = (0, 0)) -> Array:
    """Evaluate a node without state on ``inputs``, each (batch, time, *features).

    Args:
        node: any but a membrane or the input.
        inputs: one for each edge.
        silence: silent frames before and behind these, see ``convolve``.

    >>> evaluate(Pad(before=(1,), after=(-1,)), [np.array([[[1.0, 2.0]]])]).tolist()
    [[[0.0, 1.0]]]
    """
    x = inputs[0]
    if isinstance(node, Add):
        return np.asarray(sum(inputs[1:], start=inputs[0]))
    if isinstance(node, Linear):
        return x @ node.weight.T + (0.0 if node.bias is None else node.bias)
    if isinstance(node, Scale):
        return x * node.scale
    if isinstance(node, (Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d)):
        return _convolution(node, x, silence)
    if isinstance(node, SumPool2d):
        return _pool(node, x)
    if isinstance(node, Sensor):
        return sense(node, x)
    if isinstance(node, BatchNorm):
        scale = node.gamma / np.sqrt(node.var + node.eps)
        channel = (..., *(None,) * (x.ndim - 3))
        return (x - node.mean[channel]) * scale[channel] + node.beta[channel]
    return _rearranged(node, x)


def _rearranged(node: Node, x: Array) -> Array:
    """Return the same values in other places; nodes without an effect return ``x``."""
    if isinstance(node, Flatten):
        return x.reshape(*x.shape[:2], prod(x.shape[2:]))
    if isinstance(node, Reshape):
        return x.reshape(*x.shape[:2], *node.shape)
    if isinstance(node, Permute):
        return x.transpose(0, 1, *(2 + axis for axis in node.axes))
    if isinstance(node, Pad):
        return _padded(x, [(0, 0), (0, 0), *zip(node.before, node.after, strict=True)])
    return x


def _padded(x: Array, ends: list[tuple[int, int]]) -> Array:
    """Add zeros at both ends of each axis, or remove entries where the number is negative."""
    kept = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, ends, strict=True))
    return np.pad(x[kept], [(max(a, 0), max(b, 0)) for a, b in ends])


def _convolution(
    node: Conv1d | Conv2d | ConvTranspose1d | ConvTranspose2d, x: Array, silence: tuple[int, int]
) -> Array:
    if isinstance(node, Conv2d):
        return convolve(node, x, silence)
    if isinstance(node, ConvTranspose2d):
        return _transposed(node, x, silence)
    # over maps that are one row high
    row: dict[str, Any] = {
        name: (int(name in ("stride", "dilation")), value)
        for name, value in node.parameters().items()
        if name in ("stride", "padding", "output_padding", "dilation")
    }
    row |= {"weight": node.weight[:, :, None], "bias": node.bias, "groups": node.groups}
    flat = Conv2d(**row) if isinstance(node, Conv1d) else ConvTranspose2d(**row)
    return _convolution(flat, x[:, :, :, None], silence)[:, :, :, 0]


def _transposed(node: ConvTranspose2d, x: Array, silence: tuple[int, int]) -> Array:
    """Compute it as the convolution, with the kernel turned round, of the map spread by the stride.

    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016.
    """
    (step_y, step_x), groups = node.stride, node.groups
    height, width = (s * (n - 1) + 1 for n, s in zip(x.shape[3:], node.stride, strict=True))
    spread = np.zeros((*x.shape[:3], height, width))
    spread[..., ::step_y, ::step_x] = x
    ends = [(0, 0)] * 3
    for axis, size in enumerate(node.weight.shape[2:]):
        first = node.dilation[axis] * (size - 1) - node.padding[axis]
        ends.append((first, first + node.output_padding[axis]))
    by_output = [part.swapaxes(0, 1) for part in np.split(node.weight, groups)]
    kernel = np.concatenate(by_output)[:, :, ::-1, ::-1]
    turned = Conv2d(weight=kernel, bias=node.bias, dilation=node.dilation, groups=groups)
    return convolve(turned, _padded(spread, ends), silence)


def _pool(node: SumPool2d, x: Array) -> Array:
    windows = windows_of(x, node.kernel, node.stride)
    if _are_counts(x):
        # sums of counts are exact in any order
        places = product(*map(range, node.kernel))
        sums = np.asarray(sum(windows[..., y, left] for y, left in places))
    else:
        sums = np.asarray(windows.sum(axis=(-2, -1)))
    return sums / prod(node.kernel) if isinstance(node, AvgPool2d) else sums


def _are_counts(x: Array) -> bool:
    """Return whether all values are whole numbers whose sums are far below 2**53."""
    flat = x.reshape(-1)
    parts = (flat[start : start + AT_ONCE] for start in range(0, flat.size, AT_ONCE))
    return all(p.min() > -MOST and p.max() < MOST and bool((np.rint(p) == p).all()) for p in parts)

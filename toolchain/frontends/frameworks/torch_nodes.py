"""Nodes of torch's linear operations, from the arguments that layers and functions share.

Each function returns the nodes in the order in which a signal passes them; none at all for an
operation without an effect. Source: torch.nn.functional, as documented.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import UnsupportedError, array
from toolchain.ir import (
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Linear,
    Node,
    Pad,
    Reshape,
    Scale,
    SumPool2d,
)

__all__ = [
    "PerAxis",
    "adaptive_pool",
    "avg_pool",
    "batch_norm",
    "convolution",
    "dense",
    "sum_pool",
    "transposed",
]

PerAxis: TypeAlias = int | Sequence[int]
"""One number for every axis of a map, or one for each."""


def dense(weight: Tensor, bias: Tensor | None = None) -> list[Node]:
    """Return the nodes of ``F.linear``."""
    return [Linear(weight=array(weight), bias=_optional(bias))]


def convolution(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PerAxis = 1,
    padding: PerAxis | str = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> list[Node]:
    """Return the nodes of ``F.conv1d`` or ``F.conv2d``; the rank of ``weight`` decides which."""
    axes = weight.dim() - 2
    pads = _padding(padding, tuple(weight.shape[2:]), _each(dilation, axes))
    shared: dict[str, Any] = {
        "weight": array(weight),
        "bias": _optional(bias),
        "groups": int(groups),
        "stride": _each(stride, axes),
        "dilation": _each(dilation, axes),
    }
    before: list[Node] = []
    low, high = zip(*pads, strict=True)
    if low != high:
        before, low = [Pad(before=(0, *low), after=(0, *high))], (0,) * axes
    shared["padding"] = low
    return [*before, _of_rank(axes, Conv1d, Conv2d, shared)]


def transposed(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
) -> list[Node]:
    """Return the nodes of ``F.conv_transpose1d`` or ``F.conv_transpose2d``."""
    axes = weight.dim() - 2
    shared: dict[str, Any] = {
        "weight": array(weight),
        "bias": _optional(bias),
        "groups": int(groups),
        "stride": _each(stride, axes),
        "padding": _each(padding, axes),
        "output_padding": _each(output_padding, axes),
        "dilation": _each(dilation, axes),
    }
    return [_of_rank(axes, ConvTranspose1d, ConvTranspose2d, shared)]


def avg_pool(
    features: Shape,
    kernel: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> list[Node]:
    """Return the nodes of ``F.avg_pool1d`` or ``F.avg_pool2d`` on a map of shape ``features``.

    Raises:
        UnsupportedError: windows of different size, which no pooling of a chip has.
    """
    axes = len(features) - 1
    window, pads = _each(kernel, axes), _each(padding, axes)
    step = window if stride is None or stride == [] else _each(stride, axes)
    if any(pads) and not count_include_pad and divisor is None:
        raise UnsupportedError(
            "count_include_pad=False divides by fewer entries at the border than inside; use "
            "count_include_pad=True"
        )
    if ceil_mode:
        _check_whole(features, window, step, pads)
    if all(size == 1 for size in (*window, *step)) and not any(pads):
        return _factor(None if divisor in (None, 1) else 1 / float(divisor or 1))
    before: list[Node] = [Pad(before=(0, *pads), after=(0, *pads))] if any(pads) else []
    if divisor is None:
        return [*before, *_pool(AvgPool2d, features, pads, window, step)]
    return [
        *before,
        *_pool(SumPool2d, features, pads, window, step),
        *_factor(None if divisor == 1 else 1 / divisor),
    ]


def sum_pool(features: Shape, kernel: PerAxis, stride: PerAxis | None = None) -> list[Node]:
    """Return the nodes of a sum over windows of a map of shape ``features``."""
    return avg_pool(features, kernel, stride, divisor=1)


def adaptive_pool(features: Shape, size: Any) -> list[Node]:
    """Return the nodes of ``F.adaptive_avg_pool1d`` or ``F.adaptive_avg_pool2d``.

    Raises:
        UnsupportedError: the map cannot be divided into that many equal windows.
    """
    sides = features[1:]
    wanted = size if isinstance(size, tuple | list) else (size,) * len(sides)
    out = [side if n is None else int(n) for side, n in zip(sides, wanted, strict=True)]
    if any(side % n for side, n in zip(sides, out, strict=True)):
        raise UnsupportedError(
            f"divides a map of {_by(sides)} into {_by(out)} windows of different size; crop or pad "
            f"the map to a multiple of {_by(out)} before it"
        )
    return avg_pool(features, [side // n for side, n in zip(sides, out, strict=True)])


def batch_norm(
    mean: Tensor | None,
    var: Tensor | None,
    gamma: Tensor | None,
    beta: Tensor | None,
    eps: float = 1e-5,
) -> list[Node]:
    """Return the nodes of ``F.batch_norm`` with stored statistics.

    Raises:
        UnsupportedError: there are none.
    """
    if mean is None or var is None:
        raise UnsupportedError("no running statistics: its output depends on the batch")
    ones, zeros = np.ones(mean.shape), np.zeros(mean.shape)
    node = BatchNorm(
        mean=array(mean),
        var=array(var),
        gamma=ones if gamma is None else array(gamma),
        beta=zeros if beta is None else array(beta),
        eps=float(eps),
    )
    return [node]


def _optional(tensor: Tensor | None) -> Array | None:
    return None if tensor is None else array(tensor)


def _factor(factor: float | None) -> list[Node]:
    return [] if factor is None else [Scale(scale=np.asarray(factor))]


def _each(value: PerAxis, axes: int) -> tuple[int, ...]:
    """Return one number for each axis."""
    items = (value,) if isinstance(value, int) else tuple(value)
    return tuple(int(item) for item in (items * axes if len(items) == 1 else items))


def _of_rank(axes: int, line: type[Node], image: type[Node], shared: dict[str, Any]) -> Node:
    if axes == 1:
        single = {key: v[0] if isinstance(v, tuple) else v for key, v in shared.items()}
        return line(**single)
    return image(**shared)


def _padding(padding: PerAxis | str, kernel: Shape, dilation: Shape) -> list[tuple[int, int]]:
    """Return the zeros before and after each axis; 'same' puts an odd one after, as torch does."""
    if not isinstance(padding, str):
        return [(n, n) for n in _each(padding, len(kernel))]
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(n // 2, n - n // 2) for n in total]


def _pool(
    kind: type[SumPool2d], features: Shape, pads: Shape, window: Shape, step: Shape
) -> list[Node]:
    """Return a pool; one over a line is one over a map that is one row high."""
    if len(features) == 3:
        return [kind(kernel=(window[0], window[1]), stride=(step[0], step[1]))]
    length = features[1] + 2 * pads[0]
    pooled = (length - window[0]) // step[0] + 1
    return [
        Reshape(shape=(features[0], 1, length)),
        kind(kernel=(1, window[0]), stride=(1, step[0])),
        Reshape(shape=(features[0], pooled)),
    ]


def _check_whole(features: Shape, window: Shape, step: Shape, pads: Shape) -> None:
    sizes = [side + 2 * pad for side, pad in zip(features[1:], pads, strict=True)]
    if any((n - k) % s for n, k, s in zip(sizes, window, step, strict=True)):
        raise UnsupportedError(
            f"ceil_mode=True ends in windows of less than {_by(window)} on a map of {_by(sizes)}; "
            "crop or pad the map to whole windows, or use ceil_mode=False"
        )


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes)) if prod(sizes) else str(tuple(sizes))

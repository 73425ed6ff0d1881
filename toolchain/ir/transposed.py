"""Transposed convolutions: node types that spread each feature over a window of the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from toolchain.arrays import Array, Shape
from toolchain.ir.nodes import Node, check_bias

__all__ = ["ConvTranspose1d", "ConvTranspose2d"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class ConvTranspose1d(Node):
    """Transposed convolution, as ``torch.nn.ConvTranspose1d`` computes it.

    Attributes:
        weight: (in_channels, out_channels / groups, kernel).
        bias: (out_channels,) added every timestep, or None.
        stride, padding, output_padding, dilation, groups: as in torch.

    >>> import numpy as np
    >>> ConvTranspose1d(weight=np.ones((4, 2, 3)), stride=2).output_shape((4, 10))
    (2, 21)
    """

    weight: Array
    bias: Array | None = None
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    dilation: int = 1
    groups: int = 1
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __post_init__(self) -> None:
        """Check shapes."""
        Node.__post_init__(self)
        _check(self, ("kernel",))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(out_channels, length)``."""
        return _output_shape(self, input_shape)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class ConvTranspose2d(Node):
    """Transposed convolution, as ``torch.nn.ConvTranspose2d`` computes it.

    Attributes:
        weight: (in_channels, out_channels / groups, kernel_y, kernel_x).
        bias: (out_channels,) added every timestep, or None.
        stride, padding, output_padding, dilation: (y, x).

    >>> import numpy as np
    >>> up = ConvTranspose2d(weight=np.ones((8, 4, 2, 2)), stride=2)
    >>> up.output_shape((8, 8, 8))
    (4, 16, 16)
    """

    weight: Array
    bias: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    output_padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __post_init__(self) -> None:
        """Check shapes."""
        Node.__post_init__(self)
        for name in ("stride", "padding", "output_padding", "dilation"):
            object.__setattr__(self, name, _each(getattr(self, name), 2))
        _check(self, ("y", "x"))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(out_channels, height, width)``."""
        return _output_shape(self, input_shape)


def _each(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Return one number for each axis."""
    return (value,) * axes if isinstance(value, int) else tuple(int(number) for number in value)


def _check(node: ConvTranspose1d | ConvTranspose2d, axes: tuple[str, ...]) -> None:
    """Raise ValueError for a weight of other axes or numbers that torch refuses."""
    kind, shape, number = type(node).__name__, node.weight.shape, len(axes)
    if len(shape) != 2 + number:
        wanted = ", ".join(("in", "out / groups", *axes))
        raise ValueError(f"{kind}.weight is ({wanted}), got shape {shape}")
    if node.groups < 1 or shape[0] % node.groups:
        raise ValueError(f"{kind}: {shape[0]} channels cannot be divided into {node.groups} groups")
    stride, dilation = _each(node.stride, number), _each(node.dilation, number)
    if min(*stride, *dilation) < 1 or min(_each(node.padding, number)) < 0:
        raise ValueError(f"{kind}: stride and dilation must be >= 1, padding >= 0")
    added = _each(node.output_padding, number)
    if any(not 0 <= a < max(s, d) for a, s, d in zip(added, stride, dilation, strict=True)):
        raise ValueError(f"{kind}: output_padding must be >= 0 and below stride or dilation")
    check_bias(kind, node.bias, shape[1] * node.groups)


def _output_shape(node: ConvTranspose1d | ConvTranspose2d, input_shape: Shape) -> Shape:
    kind, (inputs, outputs, *kernel) = type(node).__name__, node.weight.shape
    if len(input_shape) != 1 + len(kernel) or input_shape[0] != inputs:
        axes = "length" if len(kernel) == 1 else "height, width"
        raise ValueError(f"{kind} takes shape ({inputs}, {axes}), got {input_shape}")
    fields = (node.stride, node.padding, node.output_padding, node.dilation)
    each = (_each(field, len(kernel)) for field in fields)
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + a + 1
        for n, k, s, p, a, d in zip(input_shape[1:], kernel, *each, strict=True)
    )
    if min(size) < 1:
        raise ValueError(f"{kind}: the padding removes the whole output of {input_shape}")
    return (outputs * node.groups, *size)

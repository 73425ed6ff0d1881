"""Convolutions and pools: node types whose features are maps, channels first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from toolchain.arrays import Array, Shape
from toolchain.ir.nodes import Node, check_bias

__all__ = ["AvgPool2d", "Conv1d", "Conv2d", "SumPool2d"]


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Conv1d(Node):
    """Cross-correlation with zero padding, as ``torch.nn.Conv1d`` computes it.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel).
        bias: (out_channels,) added every timestep, or None.
        stride, padding, dilation, groups: as in torch.

    >>> import numpy as np
    >>> Conv1d(weight=np.ones((4, 2, 3)), padding=1).output_shape((2, 10))
    (4, 10)
    """

    weight: Array
    bias: Array | None = None
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __post_init__(self) -> None:
        """Check shapes."""
        Node.__post_init__(self)
        if self.weight.ndim != 3:
            raise ValueError(
                f"Conv1d.weight is (out, in / groups, kernel), got shape {self.weight.shape}"
            )
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise ValueError(
                f"Conv1d: {self.weight.shape[0]} channels cannot be divided into {self.groups} "
                "groups"
            )
        if min(self.stride, self.dilation) < 1 or self.padding < 0:
            raise ValueError("Conv1d: stride and dilation must be >= 1, padding >= 0")
        check_bias("Conv1d", self.bias, self.weight.shape[0])

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(out_channels, length)``."""
        outputs, inputs, kernel = self.weight.shape
        wanted = inputs * self.groups
        if len(input_shape) != 2 or input_shape[0] != wanted:
            raise ValueError(f"Conv1d takes shape ({wanted}, length), got {input_shape}")
        padded = input_shape[1] + 2 * self.padding
        length = (padded - self.dilation * (kernel - 1) - 1) // self.stride + 1
        if length < 1:
            raise ValueError(f"Conv1d: a kernel of {kernel} is larger than the input {input_shape}")
        return (outputs, length)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Conv2d(Node):
    """Cross-correlation with zero padding, as ``torch.nn.Conv2d`` computes it.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel_y, kernel_x).
        bias: (out_channels,) added every timestep, or None.
        stride, padding, dilation: (y, x).

    >>> import numpy as np
    >>> Conv2d(weight=np.ones((8, 2, 3, 3)), stride=2, padding=1).output_shape((2, 16, 16))
    (8, 8, 8)
    """

    weight: Array
    bias: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __post_init__(self) -> None:
        """Check shapes."""
        Node.__post_init__(self)
        for name in ("stride", "padding", "dilation"):
            object.__setattr__(self, name, _pair(getattr(self, name)))
        if self.weight.ndim != 4:
            raise ValueError(
                f"Conv2d.weight is (out, in / groups, y, x), got shape {self.weight.shape}"
            )
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise ValueError(
                f"Conv2d: {self.weight.shape[0]} channels cannot be divided into {self.groups} "
                "groups"
            )
        if min(*self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            raise ValueError("Conv2d: stride and dilation must be >= 1, padding >= 0")
        check_bias("Conv2d", self.bias, self.weight.shape[0])

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(out_channels, height, width)``."""
        wanted = self.weight.shape[1] * self.groups
        if len(input_shape) != 3 or input_shape[0] != wanted:
            raise ValueError(f"Conv2d takes shape ({wanted}, height, width), got {input_shape}")
        size = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                input_shape[1:],
                self.weight.shape[2:],
                self.stride,
                self.padding,
                self.dilation,
                strict=True,
            )
        )
        if min(size) < 1:
            kernel = self.weight.shape[2:]
            raise ValueError(f"Conv2d: a kernel of {kernel} is larger than the input {input_shape}")
        return (self.weight.shape[0], *size)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class SumPool2d(Node):
    """The sum of each ``kernel`` window; rows and columns beyond the last full window are omitted.

    Attributes:
        kernel, stride: (y, x).

    >>> SumPool2d(kernel=2, stride=2).output_shape((8, 15, 15))
    (8, 7, 7)
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        """Check sizes."""
        for name in ("kernel", "stride"):
            object.__setattr__(self, name, _pair(getattr(self, name)))
        if min(*self.kernel, *self.stride) < 1:
            raise ValueError(f"{type(self).__name__}: kernel and stride must be >= 1")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(channels, height, width)``."""
        if len(input_shape) != 3:
            raise ValueError(
                f"{type(self).__name__} needs (channels, height, width), got {input_shape}"
            )
        height, width = (
            (n - k) // s + 1
            for n, k, s in zip(input_shape[1:], self.kernel, self.stride, strict=True)
        )
        if min(height, width) < 1:
            raise ValueError(
                f"{type(self).__name__}: a window of {self.kernel} is larger than the input "
                f"{input_shape}"
            )
        return (input_shape[0], height, width)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class AvgPool2d(SumPool2d):
    """The mean of each ``kernel`` window, otherwise as ``SumPool2d``.

    >>> AvgPool2d(kernel=2, stride=2).kernel
    (2, 2)
    """

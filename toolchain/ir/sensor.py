"""Address pre-processing of an event camera, before the network."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir.nodes import Node

__all__ = ["Sensor", "sense"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Sensor(Node):
    """Event maps of a camera: merged, pooled, cropped and mirrored, in the order of the fields.

    Attributes:
        merge: True sums the channels (polarities) into one.
        pool: (y, x) windows that are summed; rows and columns beyond the last full window are
            omitted.
        origin: (y, x) of the first address of the crop, in the pooled map.
        size: (height, width) of the crop, in the pooled map.
        flip_y, flip_x: True mirrors rows or columns of the crop.
        swap_xy: True swaps rows and columns, as the last operation.
        pixel_array: True if the chip's own pixels send events; otherwise only events sent to the
            chip are processed.

    Raises:
        ValueError: windows or sizes below 1, an origin below 0, a flag that is not a bool.

    Source: sinabs documentation, ``DVSLayer``; Speck Dev Kit manual, DVS pre-processing.

    >>> Sensor(merge=True, pool=(2, 2), origin=(4, 4), size=(16, 16)).output_shape((2, 128, 128))
    (1, 16, 16)
    """

    merge: bool = False
    pool: tuple[int, int] = (1, 1)
    origin: tuple[int, int] = (0, 0)
    size: tuple[int, int]
    flip_y: bool = False
    flip_x: bool = False
    swap_xy: bool = False
    pixel_array: bool = False

    def __post_init__(self) -> None:
        """Check values."""
        Node.__post_init__(self)
        for name, least in (("pool", 1), ("origin", 0), ("size", 1)):
            value = _integers(getattr(self, name))
            if len(value) != 2 or min(value) < least:
                raise ValueError(f"Sensor.{name} must be (y, x), each >= {least}, got {value}")
            object.__setattr__(self, name, value)
        for name in ("merge", "flip_y", "flip_x", "swap_xy", "pixel_array"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"Sensor.{name} must be True or False, got {getattr(self, name)!r}"
                )

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(channels, height, width)``."""
        if len(input_shape) != 3:
            raise ValueError(f"Sensor needs (channels, height, width), got {input_shape}")
        height, width = (n // k for n, k in zip(input_shape[1:], self.pool, strict=True))
        ends = [first + n for first, n in zip(self.origin, self.size, strict=True)]
        if ends[0] > height or ends[1] > width:
            raise ValueError(
                f"Sensor crops rows {self.origin[0]} to {ends[0] - 1} and columns "
                f"{self.origin[1]} to {ends[1] - 1} of a pooled map of {height} x {width}"
            )
        kept = self.size[::-1] if self.swap_xy else self.size
        return (1 if self.merge else input_shape[0], *kept)


def _integers(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(operator.index(value) for value in values)


def sense(node: Sensor, x: Array) -> Array:
    """Apply ``node`` to spike counts (batch, time, channels, height, width)."""
    if node.merge:
        x = x.sum(axis=2, keepdims=True)
    (pool_y, pool_x), (top, left), (height, width) = node.pool, node.origin, node.size
    rows, columns = x.shape[3] // pool_y, x.shape[4] // pool_x
    full = x[..., : rows * pool_y, : columns * pool_x]
    x = full.reshape(*x.shape[:3], rows, pool_y, columns, pool_x).sum(axis=(4, 6))
    x = x[..., top : top + height, left : left + width]
    x = x[..., :: -1 if node.flip_y else 1, :: -1 if node.flip_x else 1]
    return np.ascontiguousarray(x.swapaxes(3, 4) if node.swap_xy else x)

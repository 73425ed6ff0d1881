"""Node types that rearrange features without changing their values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from toolchain.arrays import Shape
from toolchain.ir.nodes import Node

__all__ = ["Flatten"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Flatten(Node):
    """All features on one axis, in C order (channel, then row, then column).

    >>> Flatten().output_shape((8, 4, 4))
    (128,)
    """

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(prod(input_shape),)``."""
        return (prod(input_shape),)

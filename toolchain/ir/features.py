"""Node types that rearrange features without changing their values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from toolchain.arrays import Shape
from toolchain.ir.nodes import Node

__all__ = ["Flatten", "Pad", "Permute", "Reshape"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Flatten(Node):
    """All features on one axis, in C order (channel, then row, then column).

    >>> Flatten().output_shape((8, 4, 4))
    (128,)
    """

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(prod(input_shape),)``."""
        return (prod(input_shape),)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Reshape(Node):
    """The same features, in C order, on the axes ``shape``.

    Attributes:
        shape: sizes of the axes after it.

    Source: torch.Tensor.reshape, of the features alone.

    >>> Reshape(shape=(8, 4, 4)).output_shape((128,))
    (8, 4, 4)
    """

    shape: Shape

    def __post_init__(self) -> None:
        """Check the sizes."""
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"Reshape.shape needs sizes >= 1, got {self.shape}")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``shape``; the input must have as many features."""
        if prod(input_shape) != prod(self.shape):
            raise ValueError(
                f"Reshape: {input_shape} has {prod(input_shape)} features, {self.shape} has "
                f"{prod(self.shape)}"
            )
        return self.shape


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Permute(Node):
    """The same axes in another order; axis ``i`` afterwards is axis ``axes[i]`` before.

    Attributes:
        axes: every axis of the features once, from 0; batch and time are not counted.

    Source: torch.permute, of the features alone.

    >>> Permute(axes=(2, 0, 1)).output_shape((16, 12, 2))
    (2, 16, 12)
    """

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that each axis is there once."""
        object.__setattr__(self, "axes", tuple(int(axis) for axis in self.axes))
        if sorted(self.axes) != [*range(len(self.axes))]:
            raise ValueError(f"Permute.axes has each axis from 0 once, got {self.axes}")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the sizes in the new order."""
        if len(input_shape) != len(self.axes):
            raise ValueError(f"Permute takes {len(self.axes)} axes, got {input_shape}")
        return tuple(input_shape[axis] for axis in self.axes)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Pad(Node):
    """Zeros added at both ends of each axis; a negative number removes that many entries.

    A concatenation is the ``Add`` of its branches, each padded to the place that it takes, and a
    slice is a ``Pad`` by negative numbers. At either end, as in torch, entries are removed before
    zeros are added at the other.

    Attributes:
        before, after: zeros at the start and at the end of each axis, one number an axis.

    Source: torch.nn.functional.pad, mode "constant", of the features alone.

    >>> Pad(before=(2, 0, 0), after=(0, -1, 1)).output_shape((4, 8, 8))
    (6, 7, 9)
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that both ends have the same axes."""
        for name in ("before", "after"):
            object.__setattr__(self, name, tuple(int(number) for number in getattr(self, name)))
        if len(self.before) != len(self.after):
            raise ValueError(f"Pad.before has {len(self.before)} axes, after {len(self.after)}")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the sizes with what is added and without what is removed."""
        if len(input_shape) != len(self.before):
            raise ValueError(f"Pad takes {len(self.before)} axes, got {input_shape}")
        ends = [*zip(input_shape, self.before, self.after, strict=True)]
        if any(size + min(first, 0) + min(last, 0) < 1 for size, first, last in ends):
            raise ValueError(
                f"Pad by {self.before} and {self.after} leaves nothing of {input_shape}"
            )
        return tuple(size + first + last for size, first, last in ends)

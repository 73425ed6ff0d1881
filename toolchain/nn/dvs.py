"""The event camera of a Speck chip as a layer: what its pre-processing does to counts of events.

Source: sinabs as observed (``DVSLayer``, ``Crop2d`` and ``FlipDims``). One thing is other than
there: ``get_output_shape`` knows that ``swap_xy`` exchanges height and width.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from toolchain.nn.pooling import SumPool2d

__all__ = ["Crop2d", "DVSLayer", "FlipDims"]

Crop = tuple[tuple[int, int], tuple[int, int]]


class Crop2d(nn.Module):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the ends left out.

    Args:
        cropping: ``((top, bottom), (left, right))``.

    Raises:
        ValueError: not two pairs of integers, each from 0 on and rising.
    """

    def __init__(self, cropping: Crop) -> None:
        super().__init__()
        self.top_crop, self.bottom_crop, self.left_crop, self.right_crop = _checked(cropping)

    def forward(self, data: Tensor) -> Tensor:
        """(rows, channels, bottom - top, right - left)."""
        return data[:, :, self.top_crop : self.bottom_crop, self.left_crop : self.right_crop]

    def extra_repr(self) -> str:
        """Rows and columns."""
        return f"({self.top_crop}, {self.bottom_crop}), ({self.left_crop}, {self.right_crop})"


class FlipDims(nn.Module):
    """An image mirrored by rows and by columns, and then, with ``swap_xy``, transposed."""

    def __init__(self, flip_x: bool = False, flip_y: bool = False, swap_xy: bool = False) -> None:
        super().__init__()
        self.flip_x, self.flip_y, self.swap_xy = flip_x, flip_y, swap_xy

    def forward(self, data: Tensor) -> Tensor:
        """(rows, channels, height, width), or (rows, channels, width, height) if swapped."""
        flips = data.flip([axis for axis, on in ((2, self.flip_y), (3, self.flip_x)) if on])
        return flips.transpose(2, 3) if self.swap_xy else flips

    def extra_repr(self) -> str:
        """What is mirrored."""
        return f"flip_x={self.flip_x}, flip_y={self.flip_y}, swap_xy={self.swap_xy}"


class DVSLayer(nn.Module):
    """Counts of camera events, (rows, 1 or 2 polarities, height, width), as the chip sends them on.

    Polarities are merged, windows summed, the map cropped, mirrored and transposed, in this order.

    Args:
        input_shape: (height, width) of the events.
        pool: (y, x) of the windows that are summed, or one number for both.
        crop: ``((top, bottom), (left, right))`` in the pooled map, ends left out; None for all.
        merge_polarities: one channel, the sum of both.
        flip_x, flip_y: columns and rows, counted from the other end.
        swap_xy: rows become columns.
        disable_pixel_array: the chip's own pixels are off; events come from outside.

    Raises:
        ValueError: sizes that are no pairs of integers, windows or a crop beyond the map; an
            input of another height or width.
    """

    def __init__(
        self,
        input_shape: tuple[int, int],
        pool: int | tuple[int, int] = (1, 1),
        crop: Crop | None = None,
        merge_polarities: bool = False,
        flip_x: bool = False,
        flip_y: bool = False,
        swap_xy: bool = False,
        disable_pixel_array: bool = True,
    ) -> None:
        super().__init__()
        height, width = _pair(input_shape, "input_shape")
        pool_y, pool_x = _pair((pool, pool) if isinstance(pool, int) else pool, "pool")
        rows, columns = height // pool_y, width // pool_x
        if not rows or not columns:
            raise ValueError(f"pool {pool} exceeds the input of {height} x {width}")
        self.merge_polarities = bool(merge_polarities)
        self.disable_pixel_array = bool(disable_pixel_array)
        self.input_shape = (1 if merge_polarities else 2, height, width)
        self.pool_layer = SumPool2d((pool_y, pool_x))
        self.crop_layer = Crop2d(((0, rows), (0, columns)) if crop is None else crop)
        self.flip_layer = FlipDims(bool(flip_x), bool(flip_y), bool(swap_xy))
        if self.crop_layer.bottom_crop > rows or self.crop_layer.right_crop > columns:
            raise ValueError(f"crop {crop} exceeds the pooled map of {rows} x {columns}")

    @classmethod
    def from_layers(
        cls,
        input_shape: tuple[int, int, int],
        pool_layer: SumPool2d | None = None,
        crop_layer: Crop2d | None = None,
        flip_layer: FlipDims | None = None,
        disable_pixel_array: bool = True,
    ) -> DVSLayer:
        """The layer that does what these do one after the other.

        Args:
            input_shape: (channels, height, width); one channel is both polarities merged.
            pool_layer, crop_layer, flip_layer: None for what is not wanted.
            disable_pixel_array: as of the constructor.

        Raises:
            ValueError: other than 1 or 2 channels, or a pool that does not sum windows side by
                side.
        """
        if len(input_shape) != 3 or input_shape[0] not in (1, 2):
            raise ValueError(f"input_shape is (1 or 2, height, width), got {input_shape}")
        flips = flip_layer or FlipDims()
        return cls(
            input_shape[1:],
            (1, 1) if pool_layer is None else _window(pool_layer),
            None if crop_layer is None else _cropping(crop_layer),
            merge_polarities=input_shape[0] == 1,
            flip_x=flips.flip_x,
            flip_y=flips.flip_y,
            swap_xy=flips.swap_xy,
            disable_pixel_array=disable_pixel_array,
        )

    def forward(self, data: Tensor) -> Tensor:
        """(rows, channels, height, width) of :meth:`get_output_shape`."""
        if tuple(data.shape[2:]) != self.input_shape[1:]:
            _, height, width = self.input_shape
            raise ValueError(
                f"DVSLayer takes (rows, channels, {height}, {width}), got {tuple(data.shape)}"
            )
        if self.merge_polarities:
            data = data.sum(1, keepdim=True)
        out: Tensor = self.flip_layer(self.crop_layer(self.pool_layer(data)))
        return out

    def get_pooling(self) -> tuple[int, int]:
        """(y, x) of the windows."""
        return _window(self.pool_layer)

    def get_roi(self) -> Crop:
        """``((top, bottom), (left, right))`` of what is kept of the pooled map."""
        return _cropping(self.crop_layer)

    def get_flip_dict(self) -> dict[str, bool]:
        """Whether columns, ``x``, and rows, ``y``, are mirrored."""
        return {"x": self.flip_layer.flip_x, "y": self.flip_layer.flip_y}

    def get_swap_xy(self) -> bool:
        """Whether rows become columns."""
        return self.flip_layer.swap_xy

    def get_output_shape_after_pooling(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pooled map."""
        channels, height, width = self.input_shape
        pool_y, pool_x = self.get_pooling()
        return channels, height // pool_y, width // pool_x

    def get_output_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the output."""
        (top, bottom), (left, right) = self.get_roi()
        height, width = bottom - top, right - left
        if self.get_swap_xy():
            height, width = width, height
        return self.input_shape[0], height, width


def _window(layer: SumPool2d) -> tuple[int, int]:
    """(y, x) of a pool whose windows lie side by side."""
    if not isinstance(layer, SumPool2d):
        raise ValueError(f"a camera sums events: wants SumPool2d, got {type(layer).__name__}")
    kernel, stride = (
        (value, value) if isinstance(value, int) else value
        for value in (layer.kernel_size, layer.stride)
    )
    if tuple(kernel) != tuple(stride):
        raise ValueError(f"windows have to lie side by side, got {kernel} with stride {stride}")
    return _pair(kernel, "pool")


def _cropping(layer: Crop2d) -> Crop:
    return (layer.top_crop, layer.bottom_crop), (layer.left_crop, layer.right_crop)


def _checked(cropping: Any) -> tuple[int, int, int, int]:
    try:
        (top, bottom), (left, right) = cropping
    except (TypeError, ValueError):
        raise ValueError(f"a crop is ((top, bottom), (left, right)), got {cropping!r}") from None
    ends = (top, bottom, left, right)
    if not all(_is_integer(end) for end in ends) or not (0 <= top < bottom and 0 <= left < right):
        raise ValueError(
            f"a crop is ((top, bottom), (left, right)) of integers, 0 <= top < bottom and "
            f"0 <= left < right, got {cropping!r}"
        )
    return int(top), int(bottom), int(left), int(right)


def _pair(value: Any, name: str) -> tuple[int, int]:
    """(y, x), both >= 1."""
    parts = tuple(value) if isinstance(value, tuple | list) else ()
    if len(parts) != 2 or not all(_is_integer(part) and part >= 1 for part in parts):
        raise ValueError(f"{name} is (y, x), integers from 1 on, got {value!r}")
    return int(parts[0]), int(parts[1])


def _is_integer(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)

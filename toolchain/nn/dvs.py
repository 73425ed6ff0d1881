"""The preprocessing of Speck's event camera as a layer on event counts.

Source: sinabs as observed (``DVSLayer``, ``Crop2d`` and ``FlipDims``). Unlike there,
``get_output_shape`` exchanges height and width with ``swap_xy``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from toolchain.nn.pooling import SumPool2d

__all__ = ["Crop2d", "DVSLayer", "FlipDims"]

Crop = tuple[tuple[int, int], tuple[int, int]]


class Crop2d(nn.Module):
    """Crop of an image to rows ``top`` to ``bottom`` and columns ``left`` to ``right``, exclusive.

    >>> import torch
    >>> from toolchain.nn import Crop2d
    >>> image = torch.arange(12.0).reshape(1, 1, 3, 4)
    >>> Crop2d(((1, 3), (0, 2)))(image)[0, 0].tolist()
    [[4.0, 5.0], [8.0, 9.0]]

    Args:
        cropping: ``((top, bottom), (left, right))``.

    Raises:
        ValueError: not two pairs of integers with 0 <= start < end.
    """

    def __init__(self, cropping: Crop) -> None:
        super().__init__()
        self.top_crop, self.bottom_crop, self.left_crop, self.right_crop = _checked(cropping)

    def forward(self, data: Tensor) -> Tensor:
        """Return the cropped (rows, channels, bottom - top, right - left)."""
        return data[:, :, self.top_crop : self.bottom_crop, self.left_crop : self.right_crop]

    def extra_repr(self) -> str:
        """Return the crop for ``repr``."""
        return f"({self.top_crop}, {self.bottom_crop}), ({self.left_crop}, {self.right_crop})"


class FlipDims(nn.Module):
    """Mirroring of an image along x and y, followed by a transposition if ``swap_xy``.

    >>> import torch
    >>> from toolchain.nn import FlipDims
    >>> image = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    >>> FlipDims(flip_x=True)(image)[0, 0].tolist()
    [[2.0, 1.0], [4.0, 3.0]]
    >>> FlipDims(swap_xy=True)(image)[0, 0].tolist()
    [[1.0, 3.0], [2.0, 4.0]]

    Args:
        flip_x: reverse the columns.
        flip_y: reverse the rows.
        swap_xy: exchange rows and columns after the flips.
    """

    def __init__(self, flip_x: bool = False, flip_y: bool = False, swap_xy: bool = False) -> None:
        super().__init__()
        self.flip_x, self.flip_y, self.swap_xy = flip_x, flip_y, swap_xy

    def forward(self, data: Tensor) -> Tensor:
        """Return (rows, channels, height, width), or (..., width, height) with ``swap_xy``."""
        flips = data.flip([axis for axis, on in ((2, self.flip_y), (3, self.flip_x)) if on])
        return flips.transpose(2, 3) if self.swap_xy else flips

    def extra_repr(self) -> str:
        """Return the arguments for ``repr``."""
        return f"flip_x={self.flip_x}, flip_y={self.flip_y}, swap_xy={self.swap_xy}"


class DVSLayer(nn.Module):
    """Preprocessing of event counts (rows, 1 or 2 polarities, height, width) as on the chip.

    In this order: merge polarities, sum-pool, crop, flip, swap x and y.

    >>> import torch
    >>> from toolchain.nn import DVSLayer
    >>> camera = DVSLayer((4, 6), pool=(2, 2), crop=((0, 2), (1, 3)), merge_polarities=True)
    >>> camera.get_output_shape()
    (1, 2, 2)
    >>> camera(torch.ones(1, 2, 4, 6)).tolist()
    [[[[8.0, 8.0], [8.0, 8.0]]]]

    :meth:`from_layers` builds the same layer from its parts:

    >>> from toolchain.nn import Crop2d, SumPool2d
    >>> camera = DVSLayer.from_layers((1, 4, 6), SumPool2d(2), Crop2d(((0, 2), (1, 3))))
    >>> camera.get_pooling(), camera.get_roi(), camera.get_output_shape()
    ((2, 2), ((0, 2), (1, 3)), (1, 2, 2))

    Args:
        input_shape: (height, width) of the events.
        pool: (y, x) size of the summed windows, or one number for both.
        crop: ``((top, bottom), (left, right))`` in the pooled map, ends exclusive; None: no crop.
        merge_polarities: sum both polarities into one channel.
        flip_x, flip_y: reverse the columns, the rows.
        swap_xy: exchange rows and columns.
        disable_pixel_array: switch the chip's own pixels off; events come from outside.

    Raises:
        ValueError: sizes that are not pairs of integers; windows or a crop larger than the map; an
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
        """Build the layer that computes these layers in sequence.

        Args:
            input_shape: (channels, height, width); one channel for merged polarities.
            pool_layer, crop_layer, flip_layer: None to omit the step.
            disable_pixel_array: as in the constructor.

        Raises:
            ValueError: not 1 or 2 channels, or a pool whose stride differs from its kernel.
        """
        if len(input_shape) != 3 or input_shape[0] not in (1, 2):
            raise ValueError(f"input_shape must be (1 or 2, height, width), got {input_shape}")
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
        """Return (rows, channels, height, width) with the sizes of :meth:`get_output_shape`."""
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
        """Return the (y, x) size of the pooling windows."""
        return _window(self.pool_layer)

    def get_roi(self) -> Crop:
        """Return the region of interest in the pooled map, ``((top, bottom), (left, right))``."""
        return _cropping(self.crop_layer)

    def get_flip_dict(self) -> dict[str, bool]:
        """Return whether columns (``x``) and rows (``y``) are reversed."""
        return {"x": self.flip_layer.flip_x, "y": self.flip_layer.flip_y}

    def get_swap_xy(self) -> bool:
        """Return True if rows and columns are exchanged."""
        return self.flip_layer.swap_xy

    def get_output_shape_after_pooling(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of the pooled map."""
        channels, height, width = self.input_shape
        pool_y, pool_x = self.get_pooling()
        return channels, height // pool_y, width // pool_x

    def get_output_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of the output."""
        (top, bottom), (left, right) = self.get_roi()
        height, width = bottom - top, right - left
        if self.get_swap_xy():
            height, width = width, height
        return self.input_shape[0], height, width


def _window(layer: SumPool2d) -> tuple[int, int]:
    """Return the (y, x) window of a pool; ValueError if the stride differs from the kernel."""
    if not isinstance(layer, SumPool2d):
        raise ValueError(f"pool_layer must be SumPool2d, got {type(layer).__name__}")
    kernel, stride = (
        (value, value) if isinstance(value, int) else value
        for value in (layer.kernel_size, layer.stride)
    )
    if tuple(kernel) != tuple(stride):
        raise ValueError(
            f"pool_layer must have equal kernel and stride, got kernel {kernel}, stride {stride}"
        )
    return _pair(kernel, "pool")


def _cropping(layer: Crop2d) -> Crop:
    return (layer.top_crop, layer.bottom_crop), (layer.left_crop, layer.right_crop)


def _checked(cropping: Any) -> tuple[int, int, int, int]:
    try:
        (top, bottom), (left, right) = cropping
    except (TypeError, ValueError):
        raise ValueError(
            f"cropping must be ((top, bottom), (left, right)), got {cropping!r}"
        ) from None
    ends = (top, bottom, left, right)
    if not all(_is_integer(end) for end in ends) or not (0 <= top < bottom and 0 <= left < right):
        raise ValueError(
            f"cropping must be integers ((top, bottom), (left, right)) with 0 <= top < bottom and "
            f"0 <= left < right, got {cropping!r}"
        )
    return int(top), int(bottom), int(left), int(right)


def _pair(value: Any, name: str) -> tuple[int, int]:
    """Return ``value`` as (y, x); ValueError unless both are integers >= 1."""
    parts = tuple(value) if isinstance(value, tuple | list) else ()
    if len(parts) != 2 or not all(_is_integer(part) and part >= 1 for part in parts):
        raise ValueError(f"{name} must be (y, x) with integers >= 1, got {value!r}")
    return int(parts[0]), int(parts[1])


def _is_integer(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)

"""Layers that remove margins of an image or add empty channels.

Source: sinabs as observed.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelShift", "Cropping2dLayer"]


class Cropping2dLayer(nn.Module):
    """Removal of margins of an image (rows, channels, height, width).

    >>> import torch
    >>> from toolchain.nn import Cropping2dLayer
    >>> image = torch.arange(12.0).reshape(1, 1, 3, 4)
    >>> Cropping2dLayer(((1, 0), (0, 2)))(image)[0, 0].tolist()
    [[4.0, 5.0], [8.0, 9.0]]

    ``Crop2d`` instead keeps what is between two addresses.

    Args:
        cropping: ``((top, bottom), (left, right))``, rows and columns to remove, >= 0.

    Raises:
        ValueError: a negative margin, or margins that leave nothing of an image.
    """

    def __init__(self, cropping: Sequence[Sequence[int]] = ((0, 0), (0, 0))) -> None:
        super().__init__()
        (top, bottom), (left, right) = cropping
        self.top_crop, self.bottom_crop = int(top), int(bottom)
        self.left_crop, self.right_crop = int(left), int(right)
        if min(top, bottom, left, right) < 0:
            raise ValueError(f"cropping must be >= 0 at every margin, got {cropping}")

    def forward(self, data: Tensor) -> Tensor:
        """Return the image without its margins; ValueError if nothing is left."""
        _, height, width = self.get_output_shape(tuple(data.shape[-3:]))
        rows = slice(self.top_crop, self.top_crop + height)
        return data[..., rows, self.left_crop : self.left_crop + width]

    def get_output_shape(self, input_shape: Sequence[int]) -> tuple[int, int, int]:
        """Return (channels, height, width) of the output for that of the input."""
        channels, height, width = input_shape
        left = height - self.top_crop - self.bottom_crop, width - self.left_crop - self.right_crop
        if min(left) < 1:
            raise ValueError(f"the margins {self.extra_repr()} leave nothing of {height} x {width}")
        return channels, *left

    def extra_repr(self) -> str:
        """Return the margins for ``repr``."""
        return f"({self.top_crop}, {self.bottom_crop}), ({self.left_crop}, {self.right_crop})"


class ChannelShift(nn.Module):
    """Empty channels before those of the input, or removal of its first channels.

    >>> import torch
    >>> from toolchain.nn import ChannelShift
    >>> image = torch.arange(1.0, 3.0).reshape(1, 2, 1, 1)  # (rows, channels, height, width)
    >>> ChannelShift(1)(image).flatten().tolist(), ChannelShift(-1)(image).flatten().tolist()
    ([0.0, 1.0, 2.0], [2.0])

    Args:
        channel_shift: number of empty channels; if negative, of channels to remove.
        channel_axis: axis of the channels, counted from the end, < 0.

    Raises:
        ValueError: an axis that is not counted from the end.
    """

    def __init__(self, channel_shift: int = 0, channel_axis: int = -3) -> None:
        super().__init__()
        if channel_axis >= 0:
            raise ValueError(f"channel_axis is counted from the end, so < 0; got {channel_axis}")
        self.channel_shift, self.channel_axis = channel_shift, channel_axis
        self.padding = [0, 0] * (-channel_axis - 1) + [channel_shift, 0]

    def forward(self, data: Tensor) -> Tensor:
        """Return the channels with those added or removed."""
        return F.pad(data, self.padding)

    def extra_repr(self) -> str:
        """Return the arguments for ``repr``."""
        return f"channel_shift={self.channel_shift}, channel_axis={self.channel_axis}"

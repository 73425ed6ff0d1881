"""Sum pooling of spikes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SumPool2d"]


class SumPool2d(nn.Module):
    """Sum pooling of an image ``(rows, channels, height, width)``.

    Exact for integers up to 2^24 in float32. ``nn.LPPool2d(1, ...)``, which other libraries use for
    it, is not: its error is 2e-4 for a 5 x 5 window of numbers up to 255. Rows and columns after
    the last full window are ignored.

    No gradient flows into a window whose sum is 0, as in sinabs: networks trained there train here
    to the same weights.

    >>> import torch
    >>> from toolchain.nn import SumPool2d
    >>> spikes = torch.tensor([[1.0, 0.0, 2.0, 1.0], [0.0, 1.0, 0.0, 0.0]]).reshape(1, 1, 2, 4)
    >>> SumPool2d(2)(spikes).tolist()
    [[[[2.0, 3.0]]]]

    Args:
        kernel_size, stride: int or (y, x); the default stride is the kernel size.
    """

    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride

    def forward(self, data: Tensor) -> Tensor:
        """Return the sums, (rows, channels, height, width)."""
        sums = F.avg_pool2d(data, self.kernel_size, self.stride, divisor_override=1)
        return sums * (sums != 0)

    def extra_repr(self) -> str:
        """Return kernel and stride for ``repr``."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}"

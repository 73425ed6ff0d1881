"""Pooling of spikes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SumPool2d"]


class SumPool2d(nn.Module):
    """The sum of each window of an image ``(rows, channels, height, width)``.

    Exact for whole numbers up to 2^24 in float32. A power-average pool of norm 1, which others
    take for it, is not: it is off by 2e-4 for a 5 x 5 window of numbers up to 255. Rows and columns
    beyond the last full window are left out.

    No gradient flows into a window whose sum is 0, as in the original: networks trained with it
    train here to the same weights.

    Args:
        kernel_size, stride: int or (y, x); the stride is the kernel where none is given.
    """

    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride

    def forward(self, data: Tensor) -> Tensor:
        """Sums, (rows, channels, height, width)."""
        sums = F.avg_pool2d(data, self.kernel_size, self.stride, divisor_override=1)
        return sums * (sums != 0)

    def extra_repr(self) -> str:
        """Kernel and stride."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}"

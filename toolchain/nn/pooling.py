"""Pooling of spikes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SpikingMaxPooling2dLayer", "SumPool2d"]


class SumPool2d(nn.Module):
    """Sum pooling of an image ``(rows, channels, height, width)``.

    Exact for integers up to 2^24 in float32. ``nn.LPPool2d(1, ...)``, which other libraries use for
    it, is not: its error is 2e-4 for a 5 x 5 window of numbers up to 255. Rows and columns after
    the last full window are ignored, or with ``ceil_mode`` they are a window whose sum is scaled up
    to that of a full one, as in sinabs.

    No gradient flows into a window whose sum is 0, as in sinabs: networks trained there train here
    to the same weights.

    >>> import torch
    >>> from toolchain.nn import SumPool2d
    >>> spikes = torch.tensor([[1.0, 0.0, 2.0, 1.0], [0.0, 1.0, 0.0, 0.0]]).reshape(1, 1, 2, 4)
    >>> SumPool2d(2)(spikes).tolist()
    [[[[2.0, 3.0]]]]

    Args:
        kernel_size, stride: int or (y, x); the default stride is the kernel size.
        ceil_mode: windows that begin in the image and end outside count too.
    """

    ceil_mode: bool = False  # pickles of earlier releases lack it

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode = ceil_mode

    def forward(self, data: Tensor) -> Tensor:
        """Return the sums, (rows, channels, height, width)."""
        sums = self._sums(data)
        if self.ceil_mode:
            height, width = _pair(self.kernel_size)
            sums = sums * (height * width / self._sums(torch.ones_like(data[:1, :1])))
        return sums * (sums != 0)

    def _sums(self, data: Tensor) -> Tensor:
        return F.avg_pool2d(
            data, self.kernel_size, self.stride, ceil_mode=self.ceil_mode, divisor_override=1
        )

    def extra_repr(self) -> str:
        """Return the arguments for ``repr``."""
        ceil_mode = ", ceil_mode=True" if self.ceil_mode else ""
        return f"kernel_size={self.kernel_size}, stride={self.stride}{ceil_mode}"


class SpikingMaxPooling2dLayer(nn.Module):
    """Maximum pooling by rates: a window passes the spikes of its neuron with the most so far.

    Timesteps follow each other along the first axis, ``(time, channels, height, width)``, and every
    call starts to count anew. Of neurons with equally many spikes each counts.

    >>> import torch
    >>> from toolchain.nn import SpikingMaxPooling2dLayer
    >>> spikes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> pool = SpikingMaxPooling2dLayer((1, 2))
    >>> pool(spikes.reshape(4, 1, 1, 2)).int().flatten().tolist()
    [1, 1, 1, 1]
    >>> pool(spikes[[0, 0, 1, 1]].reshape(4, 1, 1, 2)).int().flatten().tolist()
    [1, 1, 0, 1]

    Args:
        pool_size: (y, x) of the windows.
        strides: (y, x); by default the size of the windows.
        padding: zeros at the margins, (left, right, top, bottom).

    Source: sinabs as observed.
    """

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__()
        self.pool_size = pool_size
        self.strides = pool_size if strides is None else strides
        self.padding = tuple(padding)

    def forward(self, binary_input: Tensor) -> Tensor:
        """Return the spikes of each window, (time, channels, height, width)."""
        data = F.pad(binary_input, self.padding)
        counts = data.cumsum(0)
        leaders = self._maxima(counts * (data > 0)) >= self._maxima(counts)
        return self._maxima(data) * leaders

    def _maxima(self, data: Tensor) -> Tensor:
        return F.max_pool2d(data, _pair(self.pool_size), _pair(self.strides))

    def get_output_shape(self, input_shape: Sequence[int]) -> tuple[int, int, int]:
        """Return (channels, height, width) of the output for that of the input."""
        channels, height, width = input_shape
        left, right, top, bottom = self.padding
        (pool_y, pool_x), (step_y, step_x) = _pair(self.pool_size), _pair(self.strides)
        rows = (height + top + bottom - pool_y) // step_y + 1
        return channels, rows, (width + left + right - pool_x) // step_x + 1

    def extra_repr(self) -> str:
        """Return the arguments for ``repr``."""
        return f"pool_size={self.pool_size}, strides={self.strides}, padding={self.padding}"


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    y, x = (size, size) if isinstance(size, int) else size
    return int(y), int(x)

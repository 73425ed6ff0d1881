"""Reshapes between ``(batch, time, ...)`` and ``(batch * time, ...)``, the layout of image layers.

Rows are batch-major: row ``b * time + t`` is timestep t of sample b.

Source: sinabs as observed.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["FlattenTime", "UnflattenTime"]


class FlattenTime(nn.Module):
    """Reshape from ``(batch, time, *features)`` to ``(batch * time, *features)``.

    >>> import torch
    >>> from toolchain.nn import FlattenTime
    >>> tuple(FlattenTime()(torch.zeros(2, 5, 1, 8, 8)).shape)
    (10, 1, 8, 8)
    """

    def forward(self, data: Tensor) -> Tensor:
        """Merge batch and time into one axis."""
        return data.flatten(0, 1)


class UnflattenTime(nn.Module):
    """Reshape from ``(batch * time, *features)`` to ``(batch, time, *features)``.

    >>> import torch
    >>> from toolchain.nn import UnflattenTime
    >>> tuple(UnflattenTime(batch_size=2)(torch.zeros(10, 3)).shape)
    (2, 5, 3)

    Args:
        batch_size: samples in a batch; the number of timesteps follows from the rows.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    def forward(self, data: Tensor) -> Tensor:
        """Split batch and time; ValueError if the rows are not a multiple of the batch size."""
        rows = data.shape[0]
        if rows % self.batch_size:
            raise ValueError(f"{rows} rows are not a multiple of batch_size={self.batch_size}")
        return data.reshape(self.batch_size, rows // self.batch_size, *data.shape[1:])

    def extra_repr(self) -> str:
        """Return the batch size for ``repr``."""
        return f"batch_size={self.batch_size}"

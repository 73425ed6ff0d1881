"""Reshapes between ``(batch, time, ...)`` and ``(batch * time, ...)``, the layout of image layers.

Rows are batch-major: row ``b * time + t`` is timestep t of sample b.

Source: sinabs as observed.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["FlattenTime", "Repeat", "UnflattenTime"]


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


class Repeat(nn.Module):
    """A layer without state on every timestep: ``(batch, time, ...)`` with an image layer inside.

    >>> import torch
    >>> from toolchain.nn import Repeat
    >>> conv = Repeat(torch.nn.Conv2d(2, 8, 3))
    >>> tuple(conv(torch.zeros(4, 10, 2, 16, 16)).shape)
    (4, 10, 8, 14, 14)

    Args:
        module: takes ``(batch * time, *features)``.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, data: Tensor) -> Tensor:
        """Return the outputs ``(batch, time, *features)`` of the layer inside."""
        out: Tensor = self.module(data.flatten(0, 1))
        return out.reshape(*data.shape[:2], *out.shape[1:])

"""Between ``(batch, time, ...)`` and the ``(batch * time, ...)`` that image layers work on.

Rows are batch-major: row ``b * time + t`` is step t of sample b.

Source: sinabs as observed.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["FlattenTime", "UnflattenTime"]


class FlattenTime(nn.Module):
    """``(batch, time, *features)`` to ``(batch * time, *features)``."""

    def forward(self, data: Tensor) -> Tensor:
        """Batch and time in one axis."""
        return data.flatten(0, 1)


class UnflattenTime(nn.Module):
    """``(batch * time, *features)`` to ``(batch, time, *features)``.

    Args:
        batch_size: samples in a batch; time is what remains.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    def forward(self, data: Tensor) -> Tensor:
        """Batch and time as axes of their own; ValueError if the rows do not divide."""
        rows = data.shape[0]
        if rows % self.batch_size:
            raise ValueError(f"{rows} rows are no whole number of {self.batch_size}")
        return data.reshape(self.batch_size, rows // self.batch_size, *data.shape[1:])

    def extra_repr(self) -> str:
        """The batch size."""
        return f"batch_size={self.batch_size}"

"""Joining two branches of a network."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Merge"]


class Merge(nn.Module):
    """The sum of two tensors of one shape."""

    def forward(self, data1: Tensor, data2: Tensor) -> Tensor:
        """``data1 + data2``; ValueError where their shapes differ."""
        if data1.shape != data2.shape:
            raise ValueError(
                f"Merge takes two of one shape, got {tuple(data1.shape)} and {tuple(data2.shape)}"
            )
        return data1 + data2

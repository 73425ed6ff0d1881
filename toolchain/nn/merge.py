"""Sum of two branches of a network."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Merge"]


class Merge(nn.Module):
    """Elementwise sum of two tensors of the same shape.

    >>> import torch
    >>> from toolchain.nn import Merge
    >>> Merge()(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 2.0])).tolist()
    [2.0, 2.0]
    """

    def forward(self, data1: Tensor, data2: Tensor) -> Tensor:
        """Return ``data1 + data2``; ValueError if their shapes differ."""
        if data1.shape != data2.shape:
            raise ValueError(
                f"Merge takes two inputs of the same shape, got {tuple(data1.shape)} and "
                f"{tuple(data2.shape)}"
            )
        return data1 + data2

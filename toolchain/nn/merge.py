"""Sum of two branches of a network."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Merge"]


class Merge(nn.Module):
    """Elementwise sum of two tensors; the smaller is padded with zeros at the end of each axis.

    >>> import torch
    >>> from toolchain.nn import Merge
    >>> Merge()(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 2.0])).tolist()
    [2.0, 2.0]
    >>> Merge()(torch.tensor([1.0]), torch.tensor([1.0, 2.0])).tolist()
    [2.0, 2.0]

    Source: sinabs as observed.
    """

    def forward(self, data1: Tensor, data2: Tensor) -> Tensor:
        """Return ``data1 + data2``; ValueError if they have another number of axes."""
        if data1.dim() != data2.dim():
            raise ValueError(
                f"Merge takes two inputs of as many axes, got shapes {tuple(data1.shape)} and "
                f"{tuple(data2.shape)}"
            )
        if data1.shape == data2.shape:
            return data1 + data2
        size = [max(pair) for pair in zip(data1.shape, data2.shape, strict=True)]
        return _padded(data1, size) + _padded(data2, size)


def _padded(data: Tensor, size: list[int]) -> Tensor:
    """Return ``data`` with zeros after it up to ``size``."""
    missing = [wanted - given for wanted, given in zip(size, data.shape, strict=True)]
    return F.pad(data, [n for more in reversed(missing) for n in (0, more)])

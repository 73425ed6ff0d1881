"""Layers of torch that no framework has."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Doubler", "Halver"]


class Halver(torch.nn.Module):
    """Half of the input."""

    def forward(self, x: Tensor) -> Tensor:
        """Halve."""
        return 0.5 * x


class Doubler(torch.nn.Module):
    """Twice the input."""

    def forward(self, x: Tensor) -> Tensor:
        """Double."""
        return 2 * x

"""Torch layers of this package."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Doubler", "Halver"]


class Halver(torch.nn.Module):
    """Layer that multiplies its input by 0.5."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``0.5 * x``."""
        return 0.5 * x


class Doubler(torch.nn.Module):
    """Layer that multiplies its input by 2."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``2 * x``."""
        return 2 * x

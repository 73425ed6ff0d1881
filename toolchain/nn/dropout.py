"""Dropout of single spikes."""

from __future__ import annotations

import torch
from torch import Tensor

from toolchain.nn.module import Evolved, TorchModule

__all__ = ["TimeStepDropout"]


class TimeStepDropout(TorchModule):
    """In training, every value of every timestep is zero with probability p; else the identity.

    What remains is not scaled by ``1 / (1 - p)``: a spike stays a spike.

    Args:
        shape: ``(features,)``.
        p: probability of a zero, 0 to 1.
        training: whether it starts in training mode; ``train()`` and ``eval()`` change that.

    Raises:
        ValueError: p outside 0..1.

    Source: rockpool's ``TimeStepDropout`` as observed.
    """

    def __init__(self, shape: int | tuple[int, ...], p: float = 0.5, training: bool = True) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability, got {p}")
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.p = p
        self.train(training)

    def forward(self, data: Tensor, record: bool = False) -> Evolved:
        """The input with zeros, its shape, and empty state and record."""
        if not self.training or not self.p:
            return data, {}, {}
        return data * torch.empty_like(data).bernoulli_(1 - self.p), {}, {}

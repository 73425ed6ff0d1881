"""Dropout of spikes, independent in every timestep."""

from __future__ import annotations

import torch
from torch import Tensor

from toolchain.nn.module import Evolved, TorchModule

__all__ = ["TimeStepDropout"]


class TimeStepDropout(TorchModule):
    """Dropout of each value of each timestep with probability p; the identity in evaluation.

    The remaining values are not scaled by ``1 / (1 - p)``: a spike stays a spike.

    >>> import torch
    >>> from toolchain.nn import TimeStepDropout
    >>> _ = torch.manual_seed(0)
    >>> dropout = TimeStepDropout((4,), p=0.5)
    >>> out, state, record = dropout(torch.ones(1, 3, 4))
    >>> sorted(set(out.flatten().tolist()))
    [0.0, 1.0]
    >>> dropout.eval()(torch.ones(1, 3, 4))[0].sum().item()
    12.0

    Args:
        shape: ``(features,)``.
        p: probability that a value is set to 0, in 0..1.
        training: True to start in training mode; ``train()`` and ``eval()`` change it.

    Raises:
        ValueError: p outside 0..1.

    Source: rockpool's ``TimeStepDropout`` as observed.
    """

    def __init__(self, shape: int | tuple[int, ...], p: float = 0.5, training: bool = True) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p must be in 0..1, got {p}")
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.p = p
        self.train(training)

    def forward(self, data: Tensor, record: bool = False) -> Evolved:
        """Return the input with dropped values set to 0, and empty state and record."""
        if not self.training or not self.p:
            return data, {}, {}
        return data * torch.empty_like(data).bernoulli_(1 - self.p), {}, {}

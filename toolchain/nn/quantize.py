"""Rounding to integers with the gradient of the identity."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = ["Quantize", "QuantizeLayer", "StochasticRounding"]


class Quantize(torch.autograd.Function):
    """Rounding down in the forward pass, the identity in the backward pass.

    >>> import torch
    >>> from toolchain.nn import Quantize
    >>> x = torch.tensor([-0.5, 0.5, 2.7], requires_grad=True)
    >>> rounded = Quantize.apply(x)
    >>> rounded.sum().backward()
    >>> rounded.tolist(), x.grad.tolist()
    ([-1.0, 0.0, 2.0], [1.0, 1.0, 1.0])

    Source: sinabs as observed.
    """

    @staticmethod
    def forward(ctx: Any, data: Tensor) -> Tensor:
        """Return the numbers rounded down."""
        return data.floor()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the gradient of the output as that of the input."""
        return grads[0]


class StochasticRounding(torch.autograd.Function):
    """Rounding up with the probability of the fraction; the identity in the backward pass.

    >>> import torch
    >>> from toolchain.nn import StochasticRounding
    >>> x = torch.full((10_000,), 2.25)
    >>> rounded = StochasticRounding.apply(x)
    >>> sorted(set(rounded.tolist())), bool(abs(rounded.mean() - 2.25) < 0.05)
    ([2.0, 3.0], True)

    Source: sinabs as observed; with the same seed the numbers are the same.
    """

    @staticmethod
    def forward(ctx: Any, data: Tensor) -> Tensor:
        """Return the rounded numbers."""
        below = data.floor()
        return below + (torch.rand_like(data) < data - below).to(data)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the gradient of the output as that of the input."""
        return grads[0]


class QuantizeLayer(nn.Module):
    """Rounding down to integers with the gradient of the identity; for training only.

    >>> import torch
    >>> from toolchain.nn import QuantizeLayer
    >>> QuantizeLayer()(torch.tensor([-0.5, 0.5, 2.7])).tolist()
    [-1.0, 0.0, 2.0]

    Args:
        quantize: False for the identity.

    Source: sinabs as observed.
    """

    def __init__(self, quantize: bool = True) -> None:
        super().__init__()
        self.quantize = quantize

    def forward(self, data: Tensor) -> Tensor:
        """Return the numbers rounded down, of the shape of the input."""
        if not self.quantize:
            return data
        return cast(Tensor, Quantize.apply(data))  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        """Return the argument for ``repr``."""
        return f"quantize={self.quantize}"

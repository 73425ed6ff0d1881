"""Dense layer with rockpool's names and axes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from toolchain.nn.module import Constant, Evolved, TorchModule, batched, value_of
from toolchain.nn.state import constant

__all__ = ["LinearTorch"]


class LinearTorch(TorchModule):
    """Dense layer ``y = x W + b`` on ``(batch, time, inputs)``.

    >>> import torch
    >>> from toolchain.nn import LinearTorch
    >>> layer = LinearTorch((2, 1), weight=torch.tensor([[0.5], [-1.0]]))
    >>> out, state, record = layer(torch.tensor([[[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]]))
    >>> out.tolist()
    [[[0.5], [-0.5], [-2.0]]]

    Args:
        shape: ``(inputs, outputs)``.
        weight: (inputs, outputs), the transpose of ``nn.Linear``'s; if not given, uniform within
            ``sqrt(6 / inputs)``.
        bias: (outputs,); if not given, uniform within ``1 / sqrt(inputs)``.
        has_bias: True for a layer with bias.

    Raises:
        ValueError: a shape that does not fit; a bias without ``has_bias``.

    Source: rockpool's ``LinearTorch`` as observed; He et al. 2015 for the weights.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        shape: tuple[int, int],
        weight: Tensor | Constant | None = None,
        bias: Tensor | Constant | None = None,
        has_bias: bool = False,
    ) -> None:
        super().__init__()
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"shape must be (inputs, outputs), got {shape}")
        if bias is not None and not has_bias:
            raise ValueError("bias is given, but has_bias is False")
        self.shape = (shape[0], shape[1])
        self._set("weight", self.shape, weight, math.sqrt(6 / shape[0]))
        if has_bias:
            self._set("bias", self.shape[1:], bias, 1 / math.sqrt(shape[0]))
        else:
            self.register_parameter("bias", None)

    def _set(
        self, name: str, shape: tuple[int, ...], given: Tensor | Constant | None, bound: float
    ) -> None:
        if given is None:
            given = torch.empty(shape).uniform_(-bound, bound)
        value = torch.as_tensor(value_of(given))
        if tuple(value.shape) != shape:
            raise ValueError(f"{name} must be of shape {shape}, got {tuple(value.shape)}")
        constant(self, name, value, trained=not isinstance(given, Constant))

    def forward(self, data: Tensor, record: bool = False) -> Evolved:
        """Return ``(batch, time, outputs)``, and empty state and record."""
        out = batched(data, self.shape[0], "LinearTorch") @ self.weight
        return (out if self.bias is None else out + self.bias), {}, {}

"""Dense weights with rockpool's names and axes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from toolchain.nn.module import Constant, Evolved, TorchModule, batched, value_of
from toolchain.nn.state import constant

__all__ = ["LinearTorch"]


class LinearTorch(TorchModule):
    """``y = x W + b`` on ``(batch, time, inputs)``.

    Args:
        shape: ``(inputs, outputs)``.
        weight: (inputs, outputs), the transpose of ``nn.Linear``'s; uniform within
            ``sqrt(6 / inputs)`` where none is given.
        bias: (outputs,); uniform within ``1 / sqrt(inputs)`` where none is given.
        has_bias: whether there is a bias at all.

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
            raise ValueError(f"LinearTorch has a shape (inputs, outputs), got {shape}")
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
        """``(batch, time, outputs)``, and empty state and record."""
        out = batched(data, self.shape[0], "LinearTorch") @ self.weight
        return (out if self.bias is None else out + self.bias), {}, {}

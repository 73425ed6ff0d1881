"""ReLU with integer outputs, like the spike counts of a converted network."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional as F

from toolchain.nn.quantize import Quantize, StochasticRounding

__all__ = ["NeuromorphicReLU"]


class NeuromorphicReLU(nn.Module):
    """ReLU with integer outputs, ``floor(max(x, 0))``, and the gradient of a ReLU.

    >>> import torch
    >>> from toolchain.nn import NeuromorphicReLU
    >>> relu = NeuromorphicReLU(fanout=10)
    >>> relu(torch.tensor([[-1.0, 0.9, 2.5]])).tolist()
    [[0.0, 0.0, 2.0]]
    >>> relu.activity.item()  # synops per sample
    20.0

    Args:
        quantize: True for integers, False for a plain ReLU.
        fanout: number of neurons that each output drives, for ``activity``.
        stochastic_rounding: in training, round up with the probability of the fraction; in
            evaluation, round to nearest (half to even).

    Attributes:
        activity: synaptic operations per sample of the last call, ``sum(out) / len(out) *
            fanout``; differentiable, so that a loss can use it. None before the first call.

    The gradient is that of a ReLU in evaluation too, where sinabs has none for stochastic rounding.

    Source: sinabs' ``NeuromorphicReLU`` as observed; Sorbaro et al. 2020, "Optimizing the energy
    consumption of spiking neural networks for neuromorphic applications".
    """

    activity: Tensor | None

    def __init__(
        self, quantize: bool = True, fanout: int = 1, stochastic_rounding: bool = False
    ) -> None:
        super().__init__()
        self.quantize = quantize
        self.fanout = fanout
        self.stochastic_rounding = stochastic_rounding
        self.activity = None

    def forward(self, data: Tensor) -> Tensor:
        """Return counts of the shape of the input, whose first axis is the batch."""
        out = F.relu(data)
        if self.quantize:
            out = self._rounded(out)
        self.activity = out.sum() / len(out) * self.fanout
        return out

    def _rounded(self, out: Tensor) -> Tensor:
        if not self.stochastic_rounding:
            return cast(Tensor, Quantize.apply(out))  # type: ignore[no-untyped-call]
        if self.training:
            return cast(Tensor, StochasticRounding.apply(out))  # type: ignore[no-untyped-call]
        return out + (out.round() - out).detach()

    def extra_repr(self) -> str:
        """Return the arguments for ``repr``."""
        return f"quantize={self.quantize}, fanout={self.fanout}"

    def __getstate__(self) -> dict[str, Any]:
        # torch cannot copy a tensor that is part of an autograd graph
        activity = None if self.activity is None else self.activity.detach()
        return {**self.__dict__, "activity": activity}

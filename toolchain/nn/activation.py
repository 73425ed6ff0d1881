"""How a membrane turns into spikes, and what a spike does to it.

Spike functions give counts a step; they fire at ``v >= threshold``. Their backward is the layer's
surrogate gradient; the count depends on ``v / threshold`` only, so the gradient with respect to a
trained threshold is ``-v / threshold`` times that of v.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor

from toolchain.nn.surrogate import SurrogateFn

__all__ = [
    "MaxSpike",
    "MembraneReset",
    "MembraneSubtract",
    "MultiSpike",
    "ResetFn",
    "SingleSpike",
    "SpikeFn",
]


class SpikeFn(Protocol):
    """What a spike function looks like: a class or an instance with ``apply``."""

    def apply(self, v_mem: Tensor, threshold: Tensor, surrogate: SurrogateFn, /) -> Tensor:
        """Spike counts, shape of ``v_mem``."""


class _Count(torch.autograd.Function):
    """``trunc(v / threshold)`` where v > 0, at most ``limit``."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, threshold: Tensor, limit: int | None, surrogate: SurrogateFn
    ) -> Tensor:
        ctx.save_for_backward(v, threshold)
        ctx.surrogate = surrogate
        if limit == 1:
            return (v >= threshold).to(v)
        return (v / threshold).clamp_(min=0, max=limit).trunc_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        v, threshold = ctx.saved_tensors
        grad = grads[0] * ctx.surrogate(v, threshold)
        grad_threshold = None
        if ctx.needs_input_grad[1]:
            grad_threshold = (-grad * v / threshold).sum_to_size(threshold.shape)
        return grad, grad_threshold, None, None


def _count(v: Tensor, threshold: Tensor, limit: int | None, surrogate: SurrogateFn) -> Tensor:
    return cast(Tensor, _Count.apply(v, threshold, limit, surrogate))  # type: ignore[no-untyped-call]


class MultiSpike:
    """As many spikes as thresholds fit into v: ``trunc(v / threshold)`` where v > 0.

    Source: sinabs as observed.
    """

    max_num_spikes_per_bin: ClassVar[int | None] = None

    @staticmethod
    def apply(v_mem: Tensor, threshold: Tensor, surrogate: SurrogateFn, /) -> Tensor:
        """Spike counts, shape of ``v_mem``."""
        return _count(v_mem, threshold, None, surrogate)


class SingleSpike:
    """One spike where ``v >= threshold``.

    Source: sinabs as observed.
    """

    max_num_spikes_per_bin: ClassVar[int | None] = 1

    @staticmethod
    def apply(v_mem: Tensor, threshold: Tensor, surrogate: SurrogateFn, /) -> Tensor:
        """Spikes, 0 or 1, shape of ``v_mem``."""
        return _count(v_mem, threshold, 1, surrogate)


@dataclass(frozen=True)
class MaxSpike:
    """As ``MultiSpike``, at most ``max_num_spikes_per_bin`` a step.

    Raises:
        ValueError: a limit below 1.

    Source: sinabs as observed.
    """

    max_num_spikes_per_bin: int

    def __post_init__(self) -> None:
        """Check the limit."""
        if self.max_num_spikes_per_bin < 1:
            raise ValueError(f"MaxSpike starts at 1, got {self.max_num_spikes_per_bin}")

    def apply(self, v_mem: Tensor, threshold: Tensor, surrogate: SurrogateFn, /) -> Tensor:
        """Spike counts, shape of ``v_mem``."""
        return _count(v_mem, threshold, self.max_num_spikes_per_bin, surrogate)


class ResetFn(Protocol):
    """What a reset looks like."""

    def __call__(self, spikes: Tensor, v_mem: Tensor, threshold: Tensor, /) -> Tensor:
        """The membrane after the reset, shape of ``v_mem``."""


@dataclass(frozen=True)
class MembraneSubtract:
    """``v - spikes * threshold``, or ``v - spikes * subtract_value`` where one is given.

    Source: sinabs as observed.
    """

    subtract_value: float | None = None

    def __call__(self, spikes: Tensor, v_mem: Tensor, threshold: Tensor) -> Tensor:
        """The membrane after the reset."""
        amount = threshold if self.subtract_value is None else self.subtract_value
        return v_mem - spikes * amount


@dataclass(frozen=True)
class MembraneReset:
    """``v (spikes == 0) + reset_value``.

    A ``reset_value`` other than 0 is added to every neuron in every step, fired or not: this is
    what sinabs computes, kept so that networks trained there keep their meaning.

    Source: sinabs as observed.
    """

    reset_value: float = 0.0

    def __call__(self, spikes: Tensor, v_mem: Tensor, threshold: Tensor) -> Tensor:
        """The membrane after the reset."""
        return v_mem * (spikes == 0) + self.reset_value

"""Surrogate gradients: what backward uses in place of the derivative of a step.

Each is a callable ``(v_mem, spike_threshold) -> d spikes / d v_mem`` of the shape of ``v_mem``.
Widths are relative to the threshold where the docstring says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = [
    "Boxcar",
    "Heaviside",
    "MultiGaussian",
    "PeriodicExponential",
    "PeriodicExponentialTorch",
    "SingleExponential",
    "StepPWL",
    "SurrogateFn",
]


class SurrogateFn(Protocol):
    """What a surrogate gradient looks like."""

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor, /) -> Tensor:
        """``d spikes / d v_mem``, shape of ``v_mem``."""


@dataclass(frozen=True)
class SingleExponential:
    """``grad_scale / w * exp(-|v - threshold| / w)`` with ``w = grad_width * threshold``.

    Source: Shrestha & Orchard 2018 (SLAYER), the spike escape rate.
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """``d spikes / d v_mem``."""
        width = self.grad_width * spike_threshold
        return self.grad_scale / width * torch.exp(-(v_mem - spike_threshold).abs() / width)


@dataclass(frozen=True)
class PeriodicExponential:
    """``grad_scale * exp(-d / grad_width)`` with a peak at every multiple of the threshold.

    Below the threshold d is the distance to it, above twice that to the nearest multiple. Suits
    neurons that may spike several times a step.

    Source: sinabs' ``PeriodicExponential`` as observed.
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """``d spikes / d v_mem``."""
        below = spike_threshold - v_mem
        rest = torch.remainder(v_mem, spike_threshold)
        above = 2 * torch.minimum(rest, spike_threshold - rest)
        distance = torch.where(v_mem >= spike_threshold, above, below)
        return self.grad_scale * torch.exp(-distance / self.grad_width)


@dataclass(frozen=True)
class PeriodicExponentialTorch:
    """``grad_scale / threshold * exp(-d / grad_width)``, d the distance to the nearest multiple.

    Multiples of the threshold run from 1 to ``max_spikes``, or on without end. As rockpool has it:
    another than the ``PeriodicExponential`` of sinabs, under the same name.

    Source: rockpool's ``PeriodicExponential`` as observed.
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0
    max_spikes: int | None = None

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """``d spikes / d v_mem``."""
        nearest = torch.floor(v_mem / spike_threshold + 0.5).clamp(min=1, max=self.max_spikes)
        distance = (v_mem - nearest * spike_threshold).abs()
        return self.grad_scale / spike_threshold * torch.exp(-distance / self.grad_width)


@dataclass(frozen=True)
class Heaviside:
    """``1 / threshold`` where ``v >= threshold - window``, else 0.

    Source: sinabs' ``Heaviside`` as observed.
    """

    window: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """``d spikes / d v_mem``."""
        return (v_mem >= spike_threshold - self.window).to(v_mem) / spike_threshold


@dataclass(frozen=True)
class StepPWL(Heaviside):
    """As :class:`Heaviside`, but a window of 0.5 where none is given.

    Source: rockpool's ``StepPWL`` as observed.
    """

    window: float = 0.5


@dataclass(frozen=True)
class Boxcar:
    """``height`` where ``|v - threshold| <= width / 2``, else 0."""

    width: float = 1.0
    height: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """``d spikes / d v_mem``."""
        return self.height * ((v_mem - spike_threshold).abs() <= self.width / 2).to(v_mem)


@dataclass(frozen=True)
class MultiGaussian:
    """A Gaussian at the threshold with a shallow negative one on either side.

    With ``u = v - threshold - mu`` and ``N(u | m, s)`` the normal density::

        grad_scale ((1 + h) N(u | 0, sigma) - h N(u | sigma, s sigma) - h N(u | -sigma, s sigma))

    Source: Yin, Corradi & Bohte 2021, "Accurate and efficient time-domain classification with
    adaptive spiking recurrent neural networks", eq. of the multi-Gaussian gradient.
    """

    mu: float = 0.0
    sigma: float = 0.5
    h: float = 0.15
    s: float = 6.0
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """``d spikes / d v_mem``."""
        u = v_mem - spike_threshold - self.mu
        wide = self.s * self.sigma
        centre = (1 + self.h) * _normal(u, 0.0, self.sigma)
        sides = _normal(u, self.sigma, wide) + _normal(u, -self.sigma, wide)
        return self.grad_scale * (centre - self.h * sides)


def _normal(u: Tensor, mean: float, sigma: float) -> Tensor:
    return torch.exp(-((u - mean) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

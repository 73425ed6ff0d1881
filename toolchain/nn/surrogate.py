"""Surrogate gradients, used in the backward pass in place of the derivative of a step function.

Each is a callable ``(v_mem, spike_threshold) -> d spikes / d v_mem`` of the shape of ``v_mem``.
Widths are in units of ``v_mem`` unless the docstring says that they are relative to the threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = [
    "Boxcar",
    "Gaussian",
    "Heaviside",
    "MultiGaussian",
    "PeriodicExponential",
    "PeriodicExponentialTorch",
    "Ramp",
    "SingleExponential",
    "StepPWL",
    "SurrogateFn",
]

BEYOND = 1.5
"""Thresholds by which a membrane exceeds the most spikes before a ramp is 0."""


class SurrogateFn(Protocol):
    """Interface of a surrogate gradient.

    >>> import torch
    >>> from toolchain.nn import IAF, SurrogateFn
    >>> def triangle(v_mem, spike_threshold):
    ...     return (1 - (v_mem - spike_threshold).abs()).clamp(min=0)
    >>> def gradients(surrogate: SurrogateFn) -> list:
    ...     data = torch.tensor([0.25, 0.5]).reshape(1, 2, 1).requires_grad_()
    ...     IAF(surrogate_grad_fn=surrogate)(data).sum().backward()
    ...     return data.grad.flatten().tolist()
    >>> gradients(triangle)
    [0.8125, 0.75]
    """

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor, /) -> Tensor:
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""


@dataclass(frozen=True)
class SingleExponential:
    """Exponential: ``grad_scale / w * exp(-|v - threshold| / w)``, ``w = grad_width * threshold``.

    >>> import torch
    >>> from toolchain.nn import SingleExponential
    >>> v, threshold = torch.tensor([0.0, 0.75, 1.0, 1.25, 2.0]), torch.tensor(1.0)
    >>> [round(x, 3) for x in SingleExponential()(v, threshold).tolist()]
    [0.271, 1.213, 2.0, 1.213, 0.271]

    Source: Shrestha & Orchard 2018 (SLAYER), the spike escape rate.
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""
        width = self.grad_width * spike_threshold
        return self.grad_scale / width * torch.exp(-(v_mem - spike_threshold).abs() / width)


@dataclass(frozen=True)
class PeriodicExponential:
    """Exponential ``grad_scale * exp(-d / grad_width)`` with a peak at every multiple of threshold.

    Below the threshold d is the distance to it, above twice that to the nearest multiple. For
    neurons that can spike several times per timestep.

    >>> import torch
    >>> from toolchain.nn import PeriodicExponential
    >>> v, threshold = torch.tensor([0.0, 0.75, 1.0, 1.25, 2.0]), torch.tensor(1.0)
    >>> [round(x, 3) for x in PeriodicExponential()(v, threshold).tolist()]
    [0.135, 0.607, 1.0, 0.368, 1.0]

    Source: sinabs' ``PeriodicExponential`` as observed.
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""
        below = spike_threshold - v_mem
        rest = torch.remainder(v_mem, spike_threshold)
        above = 2 * torch.minimum(rest, spike_threshold - rest)
        distance = torch.where(v_mem >= spike_threshold, above, below)
        return self.grad_scale * torch.exp(-distance / self.grad_width)


@dataclass(frozen=True)
class PeriodicExponentialTorch:
    """Exponential ``grad_scale / threshold * exp(-d / grad_width)`` with d as in rockpool.

    d is the distance to the nearest of the multiples 1 to ``max_spikes`` of the threshold, without
    upper limit if that is None. Rockpool calls it ``PeriodicExponential``, the name of another
    function in sinabs.

    >>> import torch
    >>> from toolchain.nn import PeriodicExponentialTorch
    >>> v, threshold = torch.tensor([0.0, 0.75, 1.0, 1.25, 2.0]), torch.tensor(1.0)
    >>> [round(x, 3) for x in PeriodicExponentialTorch()(v, threshold).tolist()]
    [0.135, 0.607, 1.0, 0.607, 1.0]

    Source: rockpool's ``PeriodicExponential`` as observed.
    """

    grad_width: float = 0.5
    grad_scale: float = 1.0
    max_spikes: int | None = None

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""
        nearest = torch.floor(v_mem / spike_threshold + 0.5).clamp(min=1, max=self.max_spikes)
        distance = (v_mem - nearest * spike_threshold).abs()
        return self.grad_scale / spike_threshold * torch.exp(-distance / self.grad_width)


@dataclass(frozen=True)
class Heaviside:
    """Step: ``1 / threshold`` where ``v >= threshold - window``, else 0.

    >>> import torch
    >>> from toolchain.nn import Heaviside
    >>> v, threshold = torch.tensor([0.0, 0.75, 1.0, 1.25, 2.0]), torch.tensor(1.0)
    >>> [round(x, 3) for x in Heaviside(window=0.25)(v, threshold).tolist()]
    [0.0, 1.0, 1.0, 1.0, 1.0]

    Source: sinabs' ``Heaviside`` as observed.
    """

    window: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""
        return (v_mem >= spike_threshold - self.window).to(v_mem) / spike_threshold


@dataclass(frozen=True)
class StepPWL(Heaviside):
    """Step as :class:`Heaviside`, with a default window of 0.5.

    >>> import torch
    >>> from toolchain.nn import StepPWL
    >>> v, threshold = torch.tensor([0.0, 0.75, 1.0, 1.25, 2.0]), torch.tensor(1.0)
    >>> [round(x, 3) for x in StepPWL()(v, threshold).tolist()]
    [0.0, 1.0, 1.0, 1.0, 1.0]

    Source: rockpool's ``StepPWL`` as observed.
    """

    window: float = 0.5


@dataclass(frozen=True)
class Boxcar:
    """Box: ``height`` where ``|v - threshold| <= width / 2``, else 0.

    >>> import torch
    >>> from toolchain.nn import Boxcar
    >>> v, threshold = torch.tensor([0.0, 0.75, 1.0, 1.25, 2.0]), torch.tensor(1.0)
    >>> [round(x, 3) for x in Boxcar()(v, threshold).tolist()]
    [0.0, 1.0, 1.0, 1.0, 0.0]
    """

    width: float = 1.0
    height: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""
        return self.height * ((v_mem - spike_threshold).abs() <= self.width / 2).to(v_mem)


@dataclass(frozen=True)
class Ramp:
    """Ramp ``clip(v / threshold, 0, 1) / threshold``: neurons far below the threshold learn too.

    It is 0 where the membrane is more than 1.5 thresholds beyond ``max_spikes`` thresholds: a
    neuron that fires as often as it can does not answer to more input. Without ``max_spikes`` there
    is no such limit. For training that continues; from scratch it fails with some random seeds.

    >>> import torch
    >>> from toolchain.nn import Ramp
    >>> v, threshold = torch.tensor([-0.5, 0.0, 0.75, 1.0, 2.0, 3.0]), torch.tensor(1.0)
    >>> Ramp(max_spikes=1)(v, threshold).tolist()
    [0.0, 0.0, 0.75, 1.0, 1.0, 0.0]
    """

    max_spikes: int | None = None

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""
        ratio = v_mem / spike_threshold
        slope = ratio.clamp(0, 1) / spike_threshold
        if self.max_spikes is None:
            return slope
        return slope * (ratio <= self.max_spikes + BEYOND)


@dataclass(frozen=True)
class Gaussian:
    """Gaussian: ``grad_scale N(v - threshold | mu, sigma)`` with N the normal density.

    >>> import torch
    >>> from toolchain.nn import Gaussian
    >>> v, threshold = torch.tensor([0.0, 0.75, 1.0, 1.25, 2.0]), torch.tensor(1.0)
    >>> [round(x, 3) for x in Gaussian()(v, threshold).tolist()]
    [0.108, 0.704, 0.798, 0.704, 0.108]

    Source: sinabs as observed.
    """

    mu: float = 0.0
    sigma: float = 0.5
    grad_scale: float = 1.0

    def __call__(self, v_mem: Tensor, spike_threshold: Tensor) -> Tensor:
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""
        return self.grad_scale * _normal(v_mem - spike_threshold, self.mu, self.sigma)


@dataclass(frozen=True)
class MultiGaussian:
    """Gaussian at the threshold with a wide negative one on either side.

    >>> import torch
    >>> from toolchain.nn import MultiGaussian
    >>> v, threshold = torch.tensor([0.0, 0.75, 1.0, 1.25, 2.0]), torch.tensor(1.0)
    >>> [round(x, 3) for x in MultiGaussian()(v, threshold).tolist()]
    [0.087, 0.771, 0.878, 0.771, 0.087]

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
        """Return ``d spikes / d v_mem``, of the shape of ``v_mem``."""
        u = v_mem - spike_threshold - self.mu
        wide = self.s * self.sigma
        centre = (1 + self.h) * _normal(u, 0.0, self.sigma)
        sides = _normal(u, self.sigma, wide) + _normal(u, -self.sigma, wide)
        return self.grad_scale * (centre - self.h * sides)


def _normal(u: Tensor, mean: float, sigma: float) -> Tensor:
    return torch.exp(-((u - mean) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

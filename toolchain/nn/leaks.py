"""Leak modes: three parametrizations of the decay of a state.

The factor on a state per timestep is ``exp(-dt / tau)`` for ``taus`` (s), the number itself (0 to
1) for ``decays``, and ``1 - 2^-d`` for ``bitshifts``, which is ``v -= v >> d`` on integers.

Source: rockpool's ``leak_mode`` of ``LIFTorch`` as observed.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LEAKS", "check", "factor", "of_factor"]

LEAKS: dict[str, dict[str, float]] = {
    "taus": {"tau_mem": 20e-3, "tau_syn": 20e-3},
    "decays": {"alpha": 0.5, "beta": 0.5},
    "bitshifts": {"dash_mem": 1.0, "dash_syn": 1.0},
}
"""Leak mode -> names of the membrane's and the synapse's constant with their defaults."""


def factor(mode: str, value: Tensor, dt: float) -> Tensor:
    """Return the decay factor per timestep of ``dt`` seconds, of the shape of ``value``."""
    if mode == "taus":
        return torch.exp(-dt / value)
    return value if mode == "decays" else 1 - torch.exp2(-value)


def of_factor(mode: str, decay: Tensor, dt: float) -> Tensor:
    """Return the constant in leak mode ``mode`` that gives the factor ``decay`` per timestep."""
    if mode == "taus":
        return -dt / torch.log(decay)
    return decay if mode == "decays" else -torch.log2(1 - decay)


def check(mode: str, name: str, value: Tensor) -> None:
    """Raise ValueError if a constant is outside its range."""
    low, high = value.min().item(), value.max().item()
    if mode == "taus" and not low > 0:
        raise ValueError(f"{name} must be > 0, got a minimum of {low:g}")
    if mode == "decays" and not (low >= 0 and high <= 1):
        raise ValueError(f"{name} must be in 0..1, got {low:g} to {high:g}")
    if mode == "bitshifts" and not low >= 0:
        raise ValueError(f"{name} must be >= 0, got a minimum of {low:g}")

"""Three ways of saying how fast a state decays, and what each keeps over a step.

``taus``: a time constant in s keeps ``exp(-dt / tau)``. ``decays``: the factor itself, 0 to 1.
``bitshifts``: a shift d keeps ``1 - 2^-d``, which is what ``v -= v >> d`` does on integers.

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
"""By mode: names of the membrane's and the synapse's constant, with their defaults."""


def factor(mode: str, value: Tensor, dt: float) -> Tensor:
    """What a state keeps over a step of ``dt`` seconds, of the shape of ``value``."""
    if mode == "taus":
        return torch.exp(-dt / value)
    return value if mode == "decays" else 1 - torch.exp2(-value)


def of_factor(mode: str, decay: Tensor, dt: float) -> Tensor:
    """The constant in another ``mode`` of a state that keeps ``decay`` a step."""
    if mode == "taus":
        return -dt / torch.log(decay)
    return decay if mode == "decays" else -torch.log2(1 - decay)


def check(mode: str, name: str, value: Tensor) -> None:
    """Refuse a constant outside its range with ValueError."""
    low, high = value.min().item(), value.max().item()
    if mode == "taus" and not low > 0:
        raise ValueError(f"{name} must be > 0, got a minimum of {low:g}")
    if mode == "decays" and not (low >= 0 and high <= 1):
        raise ValueError(f"{name} must lie in 0..1, got {low:g} to {high:g}")
    if mode == "bitshifts" and not low >= 0:
        raise ValueError(f"{name} must be >= 0, got a minimum of {low:g}")

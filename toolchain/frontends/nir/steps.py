"""How a time constant and a gain of a NIR equation become factors of one step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.arrays import Array

__all__ = [
    "SNAP",
    "euler",
    "exact",
    "in_steps",
    "largest_snap",
    "norse_export",
    "rockpool",
    "snap_to_one",
    "step_of_gain",
]

SNAP = 1e-5
"""Relative distance from 1 within which a gain is taken for 1: float32 constants leave 1e-6."""


def snap_to_one(gain: Array) -> Array:
    """``gain`` with 1 in place of what float32 constants made of it."""
    return np.where(np.abs(gain - 1) < SNAP, 1.0, gain)


def largest_snap(fields: Mapping[str, Array], dt: float) -> float:
    """How far from 1 the gains are that ``snapped`` changes under Euler's rule, at most."""
    pairs = (("r", "tau"), ("r", "tau_mem"), ("w_in", "tau_syn"))
    gains = [fields[g] * dt / fields[tau] for g, tau in pairs if tau in fields]
    gains += [fields["r"] * dt] if "r" in fields and "v_leak" not in fields else []
    distances = [np.abs(gain - 1) for gain in gains]
    return max((float(d[d < SNAP].max(initial=0.0)) for d in distances), default=0.0)


# ---- (tau, gain in the equation, dt) -> (what is kept, gain of the step) ----


def euler(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Kept ``1 - dt / tau``, gain ``gain dt / tau``, 1 where it is within rounding."""
    return 1 - dt / tau, snap_to_one(gain * dt / tau)


def exact(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Kept ``exp(-dt / tau)``, gain ``gain (1 - exp(-dt / tau))``."""
    decay = np.exp(-dt / tau)
    return decay, gain * (1 - decay)


def in_steps(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Kept ``exp(-1 / tau)``, gain 1, as sinabs has it."""
    return np.exp(-1 / tau), np.ones_like(gain)


def rockpool(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Kept ``exp(-dt / tau)``, gain 1; what the file has for a gain only tells dt."""
    return np.exp(-dt / tau), np.ones_like(gain)


def norse_export(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """As ``euler``, of a time constant that was multiplied by dt."""
    return euler(tau / dt, gain, dt)


def step_of_gain(tau: Array, gain: Array) -> Array:
    r"""The dt of a network that rockpool wrote: the u dt of :math:`r = e^{-u} / u`, u = dt / tau.

    Newton's rule on :math:`u + \ln u + \ln r`, which is concave and rising: a few rounds reach
    the last digit.
    """
    with np.errstate(all="ignore"):
        u = np.minimum(1 / gain, 1.0)
        for _ in range(60):
            u = np.maximum(u - (u + np.log(u) + np.log(gain)) / (1 + 1 / u), u / 8)
    return np.asarray(u * tau)

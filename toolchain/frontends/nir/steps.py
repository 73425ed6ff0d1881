"""Decay and gain of one timestep from a time constant and a gain of a NIR equation."""

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
    "spyx",
    "step_of_gain",
]

SNAP = 1e-5
"""Distance from 1 within which a gain is set to 1: float32 constants leave 1e-6."""


def snap_to_one(gain: Array) -> Array:
    """Return ``gain`` with values within float32 rounding of 1 replaced by 1."""
    return np.where(np.abs(gain - 1) < SNAP, 1.0, gain)


def largest_snap(fields: Mapping[str, Array], dt: float) -> float:
    """Return the largest distance from 1 that ``snap_to_one`` removes under Euler's rule."""
    pairs = (("r", "tau"), ("r", "tau_mem"), ("w_in", "tau_syn"))
    gains = [fields[g] * dt / fields[tau] for g, tau in pairs if tau in fields]
    gains += [fields["r"] * dt] if "r" in fields and "v_leak" not in fields else []
    distances = [np.abs(gain - 1) for gain in gains]
    return max((float(d[d < SNAP].max(initial=0.0)) for d in distances), default=0.0)


# ---- (tau, gain of the equation, dt) -> (decay, gain of the step) ----


def euler(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Return decay ``1 - dt / tau`` and gain ``gain dt / tau``, snapped to 1."""
    return 1 - dt / tau, snap_to_one(gain * dt / tau)


def exact(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Return decay ``exp(-dt / tau)`` and gain ``gain (1 - exp(-dt / tau))``."""
    decay = np.exp(-dt / tau)
    return decay, gain * (1 - decay)


def in_steps(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Return decay ``exp(-1 / tau)`` and gain 1, as in sinabs."""
    return np.exp(-1 / tau), np.ones_like(gain)


def rockpool(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Return decay ``exp(-dt / tau)`` and gain 1; the file's gain only encodes dt."""
    return np.exp(-dt / tau), np.ones_like(gain)


def norse_export(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Return ``euler`` for a time constant that was multiplied by dt."""
    return euler(tau / dt, gain, dt)


def spyx(tau: Array, gain: Array, dt: float) -> tuple[Array, Array]:
    """Return decay ``1 - dt / tau`` within 0 and 1, and gain 1.

    spyx writes the decay itself as r. It is used where it agrees with tau, since tau is rounded.
    """
    decay = 1 - dt / tau
    stored = (np.abs(gain - decay) < SNAP) & (gain != 1)
    return np.clip(np.where(stored, gain, decay), 0.0, 1.0), np.ones_like(gain)


def step_of_gain(tau: Array, gain: Array) -> Array:
    r"""Solve :math:`r = e^{-u} / u`, u = dt / tau, for the dt of a rockpool network.

    Newton's rule on :math:`u + \ln u + \ln r`, which is concave and rising: a few rounds reach
    the last digit.
    """
    with np.errstate(all="ignore"):
        u = np.minimum(1 / gain, 1.0)
        for _ in range(60):
            u = np.maximum(u - (u + np.log(u) + np.log(gain)) / (1 + 1 / u), u / 8)
    return np.asarray(u * tau)

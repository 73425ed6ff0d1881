"""Bit shifts of decay factors: a state of Xylo decays by ``v -= v >> dash``.

A membrane with dash 0 keeps nothing from one timestep to the next: exact for a decay factor of 0.
A current decays before it reaches the membrane, so that with dash 0 no input would; its
shortest decay is dash 1. Other decays take the nearest dash, unless its time constant is more than
``WIDEST`` times longer or shorter than the trained one: these need ``allow``, at either end.
"""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array

__all__ = [
    "FASTEST",
    "NO_MEMORY",
    "dashes",
    "decay_note",
    "formulas",
    "neighbors",
    "too_fast",
    "too_slow",
]

WIDEST = 2.0
"""Largest ratio of a time constant on the chip and as trained, in either direction."""
FASTEST = 0.5
"""Decay factor of dash 1, the fastest decay of a current."""
NO_MEMORY = 2.0**-16
"""Decay factor below which a 16-bit membrane keeps less than half a step: dash 0 is exact."""
CLOSE = 0.01
"""A decay this near to a whole bit shift counts as exact: its time constant is off by less than a
percent."""


def dashes(alpha: Array) -> Array:
    """Return the bit shift of a decay factor, ``-log2(1 - alpha)``; whole for an exact shift.

    Source: Xylo decays by ``v -= v >> dash``, which keeps ``1 - 2**-dash`` of a large v.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log2(1 - alpha) + 0.0)  # no -0.0


def too_fast(alpha: Array, *, membrane: bool) -> Array:
    """Return which decay factors are below those of dash 1 by more than ``WIDEST`` in tau.

    Args:
        alpha: decay factors per timestep, 0..1.
        membrane: whether they are of membranes, which may keep nothing; currents may not.

    >>> too_fast(np.array([0.0, 0.2, 0.3]), membrane=True).tolist()
    [False, True, False]
    """
    fast = alpha < FASTEST**WIDEST
    return np.asarray(fast & (alpha >= NO_MEMORY)) if membrane else np.asarray(fast)


def too_slow(alpha: Array, top: int) -> Array:
    """Return which decay factors are above that of dash ``top`` by more than ``WIDEST`` in tau.

    >>> too_slow(np.array([1 - 2.0**-15, 1 - 2.0**-17, 1.0]), top=15).tolist()
    [False, True, True]
    """
    return np.asarray(alpha > (1 - 2.0**-top) ** (1 / WIDEST) + 1e-12)


def neighbors(alpha: Array, top: int, *, membrane: bool) -> tuple[Array, Array]:
    """Return the next smaller and the next larger dash of each decay factor.

    Both are the nearest one where that is within ``CLOSE``, where the other is off by more than
    ``WIDEST`` in tau, and outside the range of the chip.

    Args:
        alpha: decay factors per timestep, 0..1, that are neither too fast nor too slow.
        top: the largest dash.
        membrane: whether they are of membranes, whose smallest dash is 0.

    >>> [dash.tolist() for dash in neighbors(np.array([0.0, 0.6, 0.72, 0.875]), 15, membrane=True)]
    [[0, 1, 2, 3], [0, 2, 2, 3]]
    """
    with np.errstate(invalid="ignore"):
        wanted = dashes(alpha)
        exact = np.abs(wanted - np.rint(wanted)) < CLOSE
    low = np.where(exact, np.rint(wanted), np.floor(wanted)).clip(1, top)
    high = np.where(exact, np.rint(wanted), np.ceil(wanted)).clip(1, top)
    with np.errstate(divide="ignore"):
        kept = np.log(alpha)
        far_low, far_high = kept / np.log(1 - 2.0**-low), kept / np.log(1 - 2.0**-high)
    low, high = (
        np.where(far_low < 1 / WIDEST, high, low),
        np.where(far_high > WIDEST, low, high),
    )
    if membrane:
        low, high = (np.where(alpha < NO_MEMORY, 0, dash) for dash in (low, high))
    return low.astype(np.int64), high.astype(np.int64)


def formulas(alpha: Array) -> dict[str, Array]:
    """Return the bit shifts that the two formulas in use give for a decay factor, by formula.

    They disagree for some time constants, as for 2.29 to 2.83 timesteps.

    Source: Rockpool documentation: the mapper of Xylo, and the decays of its neurons.
    """
    with np.errstate(divide="ignore"):
        tau = 1 / np.abs(np.log(alpha))  # infinite without a leak
        return {"log2(tau/dt)": np.rint(np.log2(tau)), "-log2(1 - alpha)": np.rint(dashes(alpha))}


def decay_note(trained: float, stored: float) -> str:
    """Return a note on the bit shift of a decay factor, and on what the two formulas give."""
    dash, given = float(dashes(np.asarray(stored))), formulas(np.asarray(trained))
    same = [name for name, shift in given.items() if shift == np.rint(dash)]
    others = [f"{name} gives {shift:g}" for name, shift in given.items() if name not in same]
    if not np.isfinite([*given.values()]).all():
        return f"dash {dash:g}"
    if not others:
        return f"dash {dash:g} by both formulas"
    return "; ".join([f"dash {dash:g}{''.join(f' by {name}' for name in same)}", *others])

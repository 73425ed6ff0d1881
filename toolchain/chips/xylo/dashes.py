"""Bit shifts of decay factors: a state of Xylo decays by ``v -= v >> dash``."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array

__all__ = ["dashes", "decay_note", "formulas"]


def dashes(alpha: Array) -> Array:
    """Return the bit shift of a decay factor, ``-log2(1 - alpha)``; whole for an exact shift.

    Source: Xylo decays by ``v -= v >> dash``, which keeps ``1 - 2**-dash`` of a large v.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log2(1 - alpha))


def formulas(alpha: Array) -> dict[str, Array]:
    """Return the bit shifts that the two formulas in use give for a decay factor, by formula.

    They disagree for some time constants, as for 2.29 to 2.83 timesteps.

    Source: Rockpool documentation: the mapper of Xylo, and the decays of its neurons.
    """
    with np.errstate(divide="ignore"):
        tau = -1 / np.log(alpha)
        return {"log2(tau/dt)": np.rint(np.log2(tau)), "-log2(1 - alpha)": np.rint(dashes(alpha))}


def decay_note(trained: float, stored: float) -> str:
    """Return a note on the bit shift of a decay factor, and on what the two formulas give."""
    dash, given = float(dashes(np.asarray(stored))), formulas(np.asarray(trained))
    same = [name for name, shift in given.items() if shift == np.rint(dash)]
    others = [f"{name} gives {int(shift)}" for name, shift in given.items() if name not in same]
    if not others:
        return f"dash {dash:g} by both formulas"
    return "; ".join([f"dash {dash:g}{''.join(f' by {name}' for name in same)}", *others])

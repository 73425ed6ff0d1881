"""Ledger entries that are common to all chip families."""

from __future__ import annotations

from toolchain.chips.words import largest
from toolchain.fidelity.ledger import UNCHECKED, Change, Effect, Fidelity
from toolchain.hardware import Quantity

__all__ = ["state_word"]


def state_word(effect: Effect | None, width: Quantity) -> Change:
    """Return the ledger entry for neuron states stored as signed integers of ``width`` bits.

    Args:
        effect: saturations and peak of the layer on the calibration samples; None without any.
        width: width of a state, bit.
    """
    if effect is None:
        fidelity, note = Fidelity.APPROXIMATED, UNCHECKED
    elif effect.saturations:
        fidelity, note = Fidelity.APPROXIMATED, f"saturated {effect.saturations} times on the data"
    else:
        part = 100 * effect.peak / largest(width)
        fidelity = Fidelity.EXACT_ON_DATA
        note = f"never saturated on the data; largest state {part:.2g} % of the range"
    return Change(
        what="states",
        fidelity=fidelity,
        before="no limit",
        after=int(width.value),
        unit="bit",
        note=note,
    )

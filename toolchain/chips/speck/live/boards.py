"""Which boards are there, and whether they will do.

Source: samna documentation (device controller); sinabs documentation for the boards' type names.
"""

from __future__ import annotations

from typing import Any

from toolchain.chips.synsense.boards import Board, connected
from toolchain.chips.synsense.vendor import library
from toolchain.diagnostics import VendorError
from toolchain.hardware import SpeckChip, load_chip

__all__ = ["BOARDS", "find_boards", "kinds_of", "speck"]

BOARDS = {
    "samna.speck2e": ("Speck2eTestBoard", "Speck2eDevKit"),
    "samna.speck2f": ("Speck2fModuleDevKit", "Speck2fDevKit"),
}
"""Type names of the boards by the vendor's module of their chip. samna knows none of DynapCNN's
since its release 0.46, and none of Speck 2c-mini and 2d-mini was seen.
"""


def find_boards(chip: str | SpeckChip, *, samna: Any = None) -> tuple[Board, ...]:
    """The free boards of ``chip``, perhaps none.

    Args:
        chip: the chip, or a name of it.
        samna: the vendor's library; the installed one unless given.

    Raises:
        VendorError: samna is absent, a stub, or lacks what is needed; no board of the chip is
            known.
    """
    kinds = kinds_of(speck(chip))
    vendor = library() if samna is None else samna
    return connected(vendor, kinds)


def speck(chip: str | SpeckChip) -> SpeckChip:
    """The chip of a name; ValueError where it is none of this family."""
    found = load_chip(chip) if isinstance(chip, str) else chip
    if not isinstance(found, SpeckChip):
        raise ValueError(f"{found.name} is a {found.family} chip, this is for Speck")
    return found


def kinds_of(chip: SpeckChip) -> tuple[str, ...]:
    """Type names of the boards of ``chip``; VendorError where none is known."""
    if chip.vendor_module not in BOARDS:
        known = ", ".join(kind for kinds in BOARDS.values() for kind in kinds)
        raise VendorError(f"no board of {chip.name} is known, only {known}")
    return BOARDS[chip.vendor_module]

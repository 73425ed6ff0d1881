"""Which boards are there, and whether they will do.

Source: samna documentation (device controller); sinabs documentation for the boards' type names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from toolchain.chips.vendor import library
from toolchain.diagnostics import VendorError
from toolchain.hardware import SpeckChip, load_chip

__all__ = ["BOARDS", "Board", "find_boards", "opened", "part", "speck"]

BOARDS = {
    "samna.speck2e": ("Speck2eTestBoard", "Speck2eDevKit"),
    "samna.speck2f": ("Speck2fModuleDevKit", "Speck2fDevKit"),
}
"""Type names of the boards by the vendor's module of their chip. samna knows none of DynapCNN's
since its release 0.46, and none of Speck 2c-mini and 2d-mini was seen.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board that is connected and not opened by anyone.

    Attributes:
        name: its type and its number among those of its type, ``"Speck2fDevKit:0"``.
        info: the vendor's description of it.
    """

    name: str
    info: Any


def find_boards(chip: str | SpeckChip, *, samna: Any = None) -> tuple[Board, ...]:
    """The free boards of ``chip``, perhaps none.

    Args:
        chip: the chip, or a name of it.
        samna: the vendor's library; the installed one unless given.

    Raises:
        VendorError: samna is absent, a stub, or lacks what is needed; no board of the chip is
            known.
    """
    kinds = _kinds(speck(chip))
    vendor = library() if samna is None else samna
    return tuple(board for board in _connected(vendor) if _type(board.name) in kinds)


def speck(chip: str | SpeckChip) -> SpeckChip:
    """The chip of a name; ValueError where it is none of this family."""
    found = load_chip(chip) if isinstance(chip, str) else chip
    if not isinstance(found, SpeckChip):
        raise ValueError(f"{found.name} is a {found.family} chip, this is for Speck")
    return found


@contextmanager
def opened(vendor: Any, chip: SpeckChip, name: str | None) -> Iterator[tuple[str, Any]]:
    """The name and the vendor's object of the one board that is meant; closed afterwards."""
    board = _choose([*_connected(vendor)], chip, name)
    try:
        device = part(vendor, "device.open_device")(board.info)
    except RuntimeError as fault:
        raise VendorError(f"{board.name} cannot be opened: {fault}") from None
    try:
        yield board.name, device
    finally:
        part(vendor, "device.close_device")(device)


def part(whole: Any, path: str) -> Any:
    """An attribute of the vendor's, or of a part of it.

    Raises:
        VendorError: it is not there.
    """
    found = whole
    for name in path.split("."):
        if not hasattr(found, name):
            where = getattr(whole, "__name__", type(whole).__name__)
            raise VendorError(f"the samna that is installed has no {where}.{path}")
        found = getattr(found, name)
    return found


def _kinds(chip: SpeckChip) -> tuple[str, ...]:
    if chip.vendor_module not in BOARDS:
        known = ", ".join(kind for kinds in BOARDS.values() for kind in kinds)
        raise VendorError(f"no board of {chip.name} is known, only {known}")
    return BOARDS[chip.vendor_module]


def _connected(vendor: Any) -> Iterator[Board]:
    """Every free board, numbered within its type."""
    seen: dict[str, int] = {}
    for info in part(vendor, "device.get_unopened_devices")():
        device = str(part(info, "device_type_name"))
        number = seen.get(device, 0)
        seen[device] = number + 1
        yield Board(name=f"{device}:{number}", info=info)


def _choose(every: list[Board], chip: SpeckChip, name: str | None) -> Board:
    """The board that is named, or the only one that will do."""
    kinds = _kinds(chip)
    wanted = " or ".join(kinds)
    own = [board for board in every if _type(board.name) in kinds]
    free = ", ".join(board.name for board in every) or "none"
    if name is not None and _type(name) not in kinds:
        raise VendorError(f"{name} is no {wanted}, a board of {chip.name}; free boards: {free}")
    if not own:
        raise VendorError(f"no {wanted}, a board of {chip.name}, is free; free boards: {free}")
    if name is None and len(own) > 1:
        several = ", ".join(board.name for board in own)
        raise VendorError(f"{len(own)} boards of {chip.name} are free, name one: {several}")
    found = next((board for board in own if name in (None, board.name)), None)
    if found is None:
        raise VendorError(f"{name} is not free; free boards: {free}")
    return found


def _type(name: str) -> str:
    return name.partition(":")[0]

"""Boards on this machine, as the vendor's library lists them, whatever the family of their chip.

Source: samna documentation (device controller).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from toolchain.diagnostics import VendorError
from toolchain.hardware import Chip

__all__ = ["Board", "connected", "opened", "part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board that is connected and not opened by anyone.

    Attributes:
        name: its type and its number among those of its type, ``"XyloA2TestBoard:0"``.
        info: the vendor's description of it.
    """

    name: str
    info: Any


def connected(vendor: Any, kinds: tuple[str, ...]) -> tuple[Board, ...]:
    """The free boards whose type is one of ``kinds``."""
    return tuple(board for board in _every(vendor) if _type(board.name) in kinds)


@contextmanager
def opened(
    vendor: Any, kinds: tuple[str, ...], chip: Chip, name: str | None
) -> Iterator[tuple[str, Any]]:
    """The name and the vendor's object of the one board that is meant; closed afterwards.

    Args:
        vendor: the vendor's library.
        kinds: type names of the boards of ``chip``.
        chip: what the board has to carry.
        name: the board's; needed where several will do.

    Raises:
        VendorError: no such board is free, several are, or it cannot be opened.
    """
    board = _choose([*_every(vendor)], kinds, chip, name)
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


def _every(vendor: Any) -> Iterator[Board]:
    """Every free board, numbered within its type."""
    seen: dict[str, int] = {}
    for info in part(vendor, "device.get_unopened_devices")():
        device = str(part(info, "device_type_name"))
        number = seen.get(device, 0)
        seen[device] = number + 1
        yield Board(name=f"{device}:{number}", info=info)


def _choose(every: list[Board], kinds: tuple[str, ...], chip: Chip, name: str | None) -> Board:
    """The board that is named, or the only one that will do."""
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

"""Boards on this machine, as the vendor's library lists them, and which of them will do.

Source: samna documentation (device controller).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from toolchain.chips.load import load_chip
from toolchain.chips.synsense.session import OpenBoard
from toolchain.chips.synsense.spec import SynSenseChip
from toolchain.chips.synsense.vendor import Classes, library, part, to_samna
from toolchain.diagnostics import VendorError

__all__ = ["Board", "BoardKind", "Boards"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board that is connected and not in use.

    Attributes:
        name: its type and its number among those of its type, ``"TestBoard:0"``.
        info: the vendor's description of it.
    """

    name: str
    info: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardKind:
    """What is known of the boards of a chip.

    Attributes:
        devices: their type names in the vendor's library.
        least: versions below which they are not known to work, by name of the part.
        getters: names of their method for the chip, the first that is there is taken.
    """

    devices: tuple[str, ...]
    getters: tuple[str, ...] = ("get_model",)
    least: Mapping[str, str] = field(default_factory=dict)


ChipT = TypeVar("ChipT", bound=SynSenseChip)
KindT = TypeVar("KindT", bound=BoardKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boards(Generic[ChipT, KindT]):
    """A family's chips in the vendor's library: their boards and their configurations.

    Attributes:
        family: class of the chips.
        title: the family's name, for people.
        classes: of their configurations.
        kinds: what is known of the boards, by the vendor's module of their chip.
    """

    family: type[ChipT]
    title: str
    classes: Classes
    kinds: Mapping[str, KindT]

    def find(self, chip: str | ChipT, *, samna: Any = None) -> tuple[Board, ...]:
        """Return the free boards of ``chip``, perhaps none.

        Args:
            chip: the chip, or a name of it.
            samna: the vendor's library; the installed one unless given.

        Raises:
            VendorError: samna is absent, a stub, or lacks what is needed; no board of the chip is
                known.
        """
        devices = self.kind(self.chip(chip)).devices
        return tuple(board for board in _every(library(samna)) if _type(board.name) in devices)

    def to_samna(self, config: Mapping[str, Any], chip: ChipT) -> Any:
        """Return the library's live configuration of ``chip``; see ``vendor.to_samna``."""
        return to_samna(config, chip, self.classes)

    def check_versions(self, chip: str | ChipT, versions: Mapping[str, str]) -> None:
        """Refuse versions that are older than those known to work with the boards of ``chip``.

        Args:
            chip: the chip, or a name of it.
            versions: of ``fxtree``, ``unifirm`` (the board's firmware) and ``samna``, as the
                vendor's tools print them; any of these.

        Raises:
            VendorError: versions that are too old or are none, all at once.
            ValueError: a part that is none of these.
        """
        found = self.chip(chip)
        least = self.kind(found).least
        if unknown := sorted(versions.keys() - {"fxtree", "unifirm", "samna"}):
            raise ValueError(
                f"versions are of fxtree, unifirm and samna, not of {', '.join(unknown)}"
            )
        old = [
            f"{what} is {versions[what]}, needs {wanted} or later"
            for what, wanted in least.items()
            if what in versions and _numbers(versions[what]) < _numbers(wanted)
        ]
        if old:
            raise VendorError(f"{found.name}: {'; '.join(old)}")

    def chip(self, chip: str | ChipT) -> ChipT:
        """Return the chip of a name; ValueError where it is of another family."""
        found = load_chip(chip) if isinstance(chip, str) else chip
        if not isinstance(found, self.family):
            raise ValueError(f"{found.name} is a {found.family} chip, this is for {self.title}")
        return found

    def kind(self, chip: ChipT) -> KindT:
        """Return what is known of the boards of ``chip``; VendorError if that is nothing."""
        if chip.vendor_module not in self.kinds:
            names = [name for kind in self.kinds.values() for name in kind.devices]
            raise VendorError(f"no board of {chip.name} is known, only {', '.join(names)}")
        return self.kinds[chip.vendor_module]

    @contextmanager
    def loaded(
        self, chip: ChipT, config: Mapping[str, Any], name: str | None, samna: Any
    ) -> Iterator[OpenBoard]:
        """Open and configure the one board that is meant; close it afterwards.

        Args:
            chip: what the board has to carry.
            config: the chip's, as plain data.
            name: the board's; needed where several will do.
            samna: the vendor's library; the installed one if None.

        Raises:
            VendorError: samna is absent, a stub or too old; no such board is free, several are, or
                it cannot be opened or configured.
        """
        vendor, kind = library(samna), self.kind(chip)
        if "samna" in kind.least:
            self.check_versions(chip, {"samna": str(part(vendor, "__version__"))})
        board = _choose([*_every(vendor)], kind.devices, chip, name)
        try:
            device = part(vendor, "device.open_device")(board.info)
        except RuntimeError as fault:
            raise VendorError(f"{board.name} cannot be opened: {fault}") from None
        try:
            getter = next((g for g in kind.getters if hasattr(device, g)), kind.getters[-1])
            found = OpenBoard(
                name=board.name, chip=chip, vendor=vendor, device=device, getter=getter
            )
            found.configure(config, self.classes)
            yield found
        finally:
            part(vendor, "device.close_device")(device)


def _every(vendor: Any) -> Iterator[Board]:
    """Every free board, numbered within its type."""
    seen: dict[str, int] = {}
    for info in part(vendor, "device.get_unopened_devices")():
        device = str(part(info, "device_type_name"))
        number = seen.get(device, 0)
        seen[device] = number + 1
        yield Board(name=f"{device}:{number}", info=info)


def _choose(
    every: list[Board], kinds: tuple[str, ...], chip: SynSenseChip, name: str | None
) -> Board:
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


def _numbers(version: str) -> tuple[int, ...]:
    """``0.39.10.dev1`` as (0, 39, 10)."""
    found = re.match(r"\d+(\.\d+)*", version)
    if found is None:
        raise VendorError(f"{version!r} is no version")
    return tuple(map(int, found.group().split(".")))

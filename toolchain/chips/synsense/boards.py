"""Development boards that are connected to this machine, found with the vendor's library.

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
        name: type of the board and its number among boards of this type, ``"TestBoard:0"``.
        info: the vendor's description of the board.

    >>> from types import SimpleNamespace
    >>> board = Board(name="XyloA2TestBoard:0", info=SimpleNamespace(serial_number="17"))
    >>> board.name, board.info.serial_number
    ('XyloA2TestBoard:0', '17')
    """

    name: str
    info: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardKind:
    """Board types of a chip.

    Attributes:
        devices: type names in the vendor's library.
        least: lowest versions that are known to work, by name of the component.
        getters: names of the method that returns the chip object; the first that exists is used.
    """

    devices: tuple[str, ...]
    getters: tuple[str, ...] = ("get_model",)
    least: Mapping[str, str] = field(default_factory=dict)


ChipT = TypeVar("ChipT", bound=SynSenseChip)
KindT = TypeVar("KindT", bound=BoardKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boards(Generic[ChipT, KindT]):
    """Boards and configurations of one chip family in the vendor's library.

    Attributes:
        family: class of the chip specifications.
        title: the family's name in messages.
        classes: class names of the configurations.
        kinds: board types, by the vendor's module of the chip.
    """

    family: type[ChipT]
    title: str
    classes: Classes
    kinds: Mapping[str, KindT]

    def find(self, chip: str | ChipT, *, samna: Any = None) -> tuple[Board, ...]:
        """Return the free boards of ``chip``, possibly none.

        Args:
            chip: the chip, or its name.
            samna: the vendor's library; None for the installed one.

        Raises:
            VendorError: samna is not installed, a stub or incompatible, or no board type of the
                chip is known.
        """
        devices = self.kind(self.chip(chip)).devices
        return tuple(board for board in _every(library(samna)) if _type(board.name) in devices)

    def to_samna(self, config: Mapping[str, Any], chip: ChipT) -> Any:
        """Return the vendor library's configuration object; see ``vendor.to_samna``."""
        return to_samna(config, chip, self.classes)

    def check_versions(self, chip: str | ChipT, versions: Mapping[str, str]) -> None:
        """Check that no version is older than those known to work with the boards of ``chip``.

        Args:
            chip: the chip, or its name.
            versions: any of ``fxtree``, ``unifirm`` (the board's firmware) and ``samna``, with the
                version that the vendor's tools print.

        Raises:
            VendorError: versions that are too old (all are listed), or not a version.
            ValueError: an unknown component.
        """
        found = self.chip(chip)
        least = self.kind(found).least
        if unknown := sorted(versions.keys() - {"fxtree", "unifirm", "samna"}):
            raise ValueError(
                f"unknown component {', '.join(unknown)}; versions are of fxtree, unifirm and samna"
            )
        old = [
            f"{what} is {versions[what]}, needs {wanted} or later"
            for what, wanted in least.items()
            if what in versions and _numbers(versions[what]) < _numbers(wanted)
        ]
        if old:
            raise VendorError(f"{found.name}: {'; '.join(old)}")

    def chip(self, chip: str | ChipT) -> ChipT:
        """Return the chip specification from a chip or its name.

        Raises:
            ValueError: unknown chip, or a chip of another family.
        """
        found = load_chip(chip) if isinstance(chip, str) else chip
        if not isinstance(found, self.family):
            raise ValueError(f"{found.name} is a {found.family} chip, need a chip of {self.title}")
        return found

    def kind(self, chip: ChipT) -> KindT:
        """Return the board types of ``chip``.

        Raises:
            VendorError: none is known.
        """
        if chip.vendor_module not in self.kinds:
            names = [name for kind in self.kinds.values() for name in kind.devices]
            raise VendorError(f"no board type is known for {chip.name}; known: {', '.join(names)}")
        return self.kinds[chip.vendor_module]

    @contextmanager
    def loaded(
        self, chip: ChipT, config: Mapping[str, Any], name: str | None, samna: Any
    ) -> Iterator[OpenBoard]:
        """Open and configure a board; close it at the end of the ``with`` block.

        Args:
            chip: chip on the board.
            config: configuration of the chip as plain data.
            name: name of the board; required if several boards of the chip are free.
            samna: the vendor's library; None for the installed one.

        Raises:
            VendorError: samna is not installed, a stub or too old; no such board is free, several
                are, or it cannot be opened or configured.
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
    """Yield every free board, numbered within its type."""
    seen: dict[str, int] = {}
    for info in part(vendor, "device.get_unopened_devices")():
        device = str(part(info, "device_type_name"))
        number = seen.get(device, 0)
        seen[device] = number + 1
        yield Board(name=f"{device}:{number}", info=info)


def _choose(
    every: list[Board], kinds: tuple[str, ...], chip: SynSenseChip, name: str | None
) -> Board:
    """Return the board called ``name``, or the only free board of the chip.

    Raises:
        VendorError: no such board is free, or several are and ``name`` is None.
    """
    wanted = " or ".join(kinds)
    own = [board for board in every if _type(board.name) in kinds]
    free = ", ".join(board.name for board in every) or "none"
    if name is not None and _type(name) not in kinds:
        raise VendorError(f"{name} is not a {wanted} (board of {chip.name}); free boards: {free}")
    if not own:
        raise VendorError(f"no {wanted} (board of {chip.name}) is free; free boards: {free}")
    if name is None and len(own) > 1:
        several = ", ".join(board.name for board in own)
        raise VendorError(
            f"{len(own)} boards of {chip.name} are free, choose one by name: {several}"
        )
    found = next((board for board in own if name in (None, board.name)), None)
    if found is None:
        raise VendorError(f"{name} is not free; free boards: {free}")
    return found


def _type(name: str) -> str:
    return name.partition(":")[0]


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: (0, 39, 10) for ``0.39.10.dev1``."""
    found = re.match(r"\d+(\.\d+)*", version)
    if found is None:
        raise VendorError(f"{version!r} is not a version")
    return tuple(map(int, found.group().split(".")))

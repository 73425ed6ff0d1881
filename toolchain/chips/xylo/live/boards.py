"""Which boards are there, and whether they will do.

Source: samna documentation (device controller); Rockpool documentation and released behaviour for
the boards' type names and their least versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from toolchain.chips.synsense import boards
from toolchain.chips.synsense.boards import Board, connected, part
from toolchain.chips.synsense.vendor import library
from toolchain.diagnostics import VendorError
from toolchain.hardware import XyloChip, load_chip

__all__ = ["Kind", "check_versions", "find_boards", "kind_of", "opened", "xylo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is known of the board of a chip.

    Attributes:
        device: its type name in the vendor's library.
        least: versions below which it is not known to work, by name of the part.
        time: attribute in which events carry their timestep.
        reset: fields of the configuration that zero all states when it is applied.
        stops: whether ``TriggerProcessing`` ends a run; if not, a spike one step later does.
        input_registers: to be cleared of that spike.
    """

    device: str
    least: Mapping[str, str]
    time: str
    stops: bool
    reset: tuple[str, ...] = ()
    input_registers: range = range(0)


OLDER = {"fxtree": "0.11.5", "unifirm": "1.1.3"}
KINDS = {
    "samna.xyloCore2": Kind(
        device="XyloA2TestBoard",
        least=OLDER,
        time="timestamp",
        stops=False,
        reset=("clear_network_state",),
        input_registers=range(0x11, 0x15),
    ),
    "samna.xyloImu": Kind(device="XyloImuTestBoard", least=OLDER, time="timestep", stops=True),
    "samna.xyloAudio3": Kind(
        device="XyloAudio3TestBoard",
        least={"fxtree": "0.12.2", "unifirm": "1.6.0", "samna": "0.39.6"},
        time="timestep",
        stops=True,
    ),
}


def find_boards(chip: str | XyloChip, *, samna: Any = None) -> tuple[Board, ...]:
    """The free boards of ``chip``, perhaps none.

    Args:
        chip: the chip, or a name of it.
        samna: the vendor's library; the installed one unless given.

    Raises:
        VendorError: samna is absent, a stub, or lacks what is needed; no board of the chip is
            known.
    """
    found = xylo(chip)
    kind = kind_of(found)
    vendor = library() if samna is None else samna
    return connected(vendor, (kind.device,))


def check_versions(chip: str | XyloChip, versions: Mapping[str, str]) -> None:
    """Refuse versions that are older than those known to work with the board of ``chip``.

    Args:
        chip: the chip, or a name of it.
        versions: of ``fxtree``, ``unifirm`` (the board's firmware) and ``samna``, as the vendor's
            tools print them; any of these.

    Raises:
        VendorError: versions that are too old or are none, all at once.
        ValueError: a part that is none of these.
    """
    least = kind_of(xylo(chip)).least
    unknown = sorted(versions.keys() - {"fxtree", "unifirm", "samna"})
    if unknown:
        raise ValueError(f"versions are of fxtree, unifirm and samna, not of {', '.join(unknown)}")
    old = [
        f"{what} is {versions[what]}, needs {wanted} or later"
        for what, wanted in least.items()
        if what in versions and _numbers(versions[what]) < _numbers(wanted)
    ]
    if old:
        raise VendorError(f"{xylo(chip).name}: {'; '.join(old)}")


def xylo(chip: str | XyloChip) -> XyloChip:
    """The chip of a name; ValueError where it is none of this family."""
    found = load_chip(chip) if isinstance(chip, str) else chip
    if not isinstance(found, XyloChip):
        raise ValueError(f"{found.name} is a {found.family} chip, this is for Xylo")
    return found


def kind_of(chip: XyloChip) -> Kind:
    """What is known of the chip's board; VendorError where that is nothing."""
    if chip.vendor_module not in KINDS:
        raise VendorError(
            f"no board of {chip.name} is known, only {', '.join(k.device for k in KINDS.values())}"
        )
    return KINDS[chip.vendor_module]


def opened(
    vendor: Any, chip: XyloChip, name: str | None
) -> AbstractContextManager[tuple[str, Any]]:
    """As ``synsense.boards.opened``; VendorError also where the library is too old."""
    check_versions(chip, {"samna": str(part(vendor, "__version__"))})
    return boards.opened(vendor, (kind_of(chip).device,), chip, name)


def _numbers(version: str) -> tuple[int, ...]:
    """``0.39.10.dev1`` as (0, 39, 10)."""
    found = re.match(r"\d+(\.\d+)*", version)
    if found is None:
        raise VendorError(f"{version!r} is no version")
    return tuple(map(int, found.group().split(".")))

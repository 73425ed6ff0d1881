"""Artifacts of format 2, which have no chip file and do not name the program they belong to."""

from __future__ import annotations

from collections.abc import Mapping

from toolchain.archive import Archive
from toolchain.chips.load import list_chips, load_chip
from toolchain.hardware import SpecBase

__all__ = ["former_chip", "of_format_2"]

LATER = ("chip.json",)
"""Files that format 2 lacks."""


def of_format_2(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that format 2 has too; their data may lack what it has today."""
    return {name: data for name, data in files.items() if name not in LATER}


def former_chip(archive: Archive) -> SpecBase:
    """Return the chip that an artifact of format 2 names; no path is opened.

    Raises:
        ArtifactError: the name is unknown, or the chip file was one of the user's own and is not
            there any more.
    """
    name = archive.manifest.get("chip")
    if not isinstance(name, str) or name not in list_chips():
        raise archive.error("manifest.json", f"chip {name!r:.60} is not in list_chips()")
    chip = archive.build("manifest.json", lambda: load_chip(name))
    origin = archive.json("ledger.json").get("provenance")
    own = origin.get("chip_file") if isinstance(origin, dict) else None
    given = own if isinstance(own, str) else ""
    if given.rpartition(" ")[2] != chip.origin.rpartition(" ")[2]:
        which = given or "the built-in one"
        raise archive.error(
            "manifest.json",
            f"was deployed to another chip file {name!r}, {which:.200}, which artifacts of "
            "format 2 do not contain; put it into the user's chip folder or deploy the network "
            "again",
        )
    return chip

"""The state of a session in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from toolchain.archive import Archive, archive_path, packed_files, write_archive
from toolchain.runs import ChipState

__all__ = ["is_state", "read_state", "write_state"]

PART = "session"
"""Name of the files; a deployment has none of this name."""


def write_state(state: ChipState, folder: str | os.PathLike[str]) -> Path:
    """Write a state to ``folder`` and return its path; an older state there is replaced.

    Raises:
        ArtifactError: ``folder`` contains anything else, or cannot be written.
    """
    files = packed_files(PART, state.arrays, state.metadata())
    return write_archive(folder, files, {}, replaces=is_state)


def is_state(names: Collection[str]) -> bool:
    """Return whether an archive with files of these names contains a state."""
    return f"{PART}.json" in names


def read_state(folder: str | os.PathLike[str]) -> ChipState:
    """Return the state in ``folder``.

    Raises:
        ArtifactError: it is missing or damaged, or no state.
    """
    archive = Archive(archive_path(folder))
    arrays, data = archive.unpacked(PART)
    kinds = {"chip": str, "program": str, "timing": str, "steps": int}
    if data.keys() != kinds.keys() or any(type(data[n]) is not kind for n, kind in kinds.items()):
        raise archive.error(f"{PART}.json", "is not the state of a session")
    if data["steps"] < 0:
        raise archive.error(f"{PART}.json", f"has {data['steps']} steps, need 0 or more")
    return ChipState(**data, arrays=arrays)

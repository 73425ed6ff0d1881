"""Files of finished programs: JSON that a chip family reads.

Each installed family recognizes its own documents.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolchain.archive import is_part
from toolchain.chips.contract import Family, OnChip, ProgramFile
from toolchain.chips.load import families, family_of, load_chip
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.files.contents import Content, FileKind, identify
from toolchain.frontends.files.json_text import parse_numbers
from toolchain.ir import Graph
from toolchain.report import visible

__all__ = ["document_in", "network_of_document", "program_at"]


def network_of_document(document: Mapping[str, Any], path: Path, dt: float | None) -> Graph | None:
    """Return the network of the program in a JSON file; None if the file is no program.

    Raises:
        ModelFileError: the program is invalid, or no network computes the same.
    """
    found = _recognized(document)
    if found is None:
        return None
    family = family_of(load_chip(found.chip))
    try:
        on_chip, notes = family.from_document(document, dt)
        return _with_notes(on_chip.network(), path, found, notes)
    except ValueError as fault:
        raise ModelFileError(f"is {found.title}: {fault}") from None


def program_at(model: Any, family: Family, dt: float | None) -> tuple[OnChip, Graph | None] | None:
    """Return the finished program in a file, and the network that it computes.

    Args:
        model: what the user gave; anything but the path of a program gives None.
        family: bound to the chip that the user asked for.
        dt: length of a timestep, s, for a file that states none.

    The network is None if there is none that computes what the program does.

    Raises:
        ModelFileError: the program is invalid, or one of another chip.
    """
    if not isinstance(model, str | os.PathLike) or not Path(model).is_file():
        return None
    try:
        content = identify(Path(model))
    except ModelFileError:
        return None
    if is_part(content.path):
        return None  # of an artifact; the reader of networks says so
    document = document_in(content)
    found = None if document is None else _recognized(document)
    if document is None or found is None:
        return None
    where = visible(str(content.path), one_line=True)
    if family.recognizes(document) is None:
        raise ModelFileError(
            f"{where}: is {found.title}, a finished program for chips such as {found.chip}, and "
            f"none for {family.chip.name}"
        )
    try:
        on_chip, notes = family.from_document(document, dt)
    except ValueError as fault:
        raise ModelFileError(f"{where}: is {found.title}: {fault}") from None
    try:
        network = on_chip.network()
    except ValueError:
        return on_chip, None
    stated = ProgramFile(title=found.title, chip=family.chip.name)
    return on_chip, _with_notes(network, content.path, stated, notes)


def _with_notes(network: Graph, path: Path, found: ProgramFile, notes: Mapping[str, str]) -> Graph:
    limits = f"limits of {found.chip}, since the file states no chip" if found.any_chip else ""
    provenance = {
        "file": path.name,
        "file_kind": found.title,
        "network": "the integers of a finished program; deploy(path, chip) loads them unchanged",
        **({"chip_limits": limits} if limits else {}),
        **notes,
    }
    return Graph(network.nodes, network.edges, dt=network.dt, provenance=provenance)


def document_in(content: Content) -> Mapping[str, Any] | None:
    """Return the JSON object in a file; None for other files, and for what cannot be parsed."""
    if content.kind is not FileKind.JSON:
        return None
    try:
        found = parse_numbers(content.data.decode("utf-8-sig"))
    except ValueError:
        return None  # the reader of other JSON says what is wrong
    return found if isinstance(found, dict) else None


def _recognized(document: Mapping[str, Any]) -> ProgramFile | None:
    # no family, with its compiled code, is imported for a network
    if all(isinstance(part, Mapping) and _is_text(part) for part in document.values()):
        return None
    for family in families():
        found = family.recognizes(document)
        if found is not None:
            return found
    return None


def _is_text(document: Mapping[str, Any]) -> bool:
    """Return whether an object contains text alone, as modules that rockpool saves."""
    return all(
        _is_text(part) if isinstance(part, Mapping) else part is None or isinstance(part, str)
        for part in document.values()
    )

"""Constants of one's own for a chip: a small file laid over the chip's.

    chip: xylo_a3
    note: where these come from
    sources:
      own_readings: {title: my board, url: ""}
    constants:
      rails.digital.static: {value: 150, low: 146, high: 154, unit: µW, source: own_readings, ...}

Each constant replaces the one of that name (see ``toolchain.hardware.power``). In a rail of which
only the idle draw at one clock is on file, ``static`` and ``clock_slope`` take its place.
"""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from toolchain.atomic import write_file
from toolchain.diagnostics import ChipFileError
from toolchain.hardware.chip import Name, Source
from toolchain.hardware.faults import LineFault, dotted, report, text_of
from toolchain.hardware.quantity import NameTable, Price, SpecModel
from toolchain.hardware.yaml_file import YamlDocument, read_yaml

__all__ = ["Overlay", "applied", "read_overlay", "write_overlay"]

PRICES = ("static", "clock_slope", "idle", "energy")


class Overlay(SpecModel):
    """What such a file says.

    Attributes:
        chip: name of the chip that it is about.
        note: for people.
        sources: documents that the constants refer to, under keys that the chip's file lacks.
        constants: name of a constant to what it is instead.
    """

    chip: Name
    note: str = ""
    sources: NameTable[Source]
    constants: NameTable[Price]


def read_overlay(path: Path) -> tuple[Overlay, YamlDocument]:
    """The file's content, and where in it each field is.

    Raises:
        ChipFileError: the file is wrong; the message lists every fault with its line.
    """
    document = read_yaml(path)
    data = document.data if isinstance(document.data, dict) else {}
    sources = data.get("sources")
    context = {"sources": sources} if isinstance(sources, dict) else None
    try:
        overlay = Overlay.model_validate(document.data, context=context)
    except ValidationError as error:
        found = [
            (document.line(detail["loc"]), _said(detail["loc"], text_of(detail)))
            for detail in error.errors(include_url=False)
            if detail["loc"] not in document.unread
        ]
        raise ChipFileError(report(path, [*document.faults, *found])) from None
    if document.faults:
        raise ChipFileError(report(path, document.faults))
    return overlay, document


def _said(location: tuple[int | str, ...], text: str) -> str:
    where = dotted(location)
    return f"{where}: {text}" if where else text


def applied(data: Any, overlay: Overlay, document: YamlDocument) -> tuple[Any, list[LineFault]]:
    """A chip file's data with the overlay's constants, and what does not fit together.

    Args:
        data: of the chip's file, as ``read_yaml`` gives it; not changed.
        overlay, document: as ``read_overlay`` gives them; faults have the lines of its file.
    """
    changed, faults = copy.deepcopy(data), []
    if overlay.chip != changed["name"]:
        text = f"chip: is {overlay.chip!r}, the chip asked for is {changed['name']!r}"
        return changed, [(document.line(("chip",)), text)]
    for key, source in overlay.sources.items():
        if key in changed["sources"]:
            line = document.line(("sources", key))
            faults.append((line, f"sources.{key}: the file of {overlay.chip} has that key already"))
        changed["sources"][key] = source.model_dump()
    for name, price in overlay.constants.items():
        if not _replace(changed["power"], name.split("."), price):
            line = document.line(("constants", name))
            faults.append((line, f"constants: {overlay.chip} has no constant {name}"))
    return changed, faults


def _replace(power: dict[str, Any], path: list[str], price: Price) -> bool:
    """Put ``price`` in its place; False where there is none."""
    *way, last = path
    parent: Any = power
    for part in way:
        parent = parent.get(part) if isinstance(parent, dict) else None
    if not isinstance(parent, dict) or last not in PRICES:
        return False
    if last not in parent:
        splits = len(way) == 2 and last in ("static", "clock_slope")
        if not splits or not {"idle", "static", "clock_slope"} & set(parent):
            return False
        parent.pop("idle", None)
        parent.pop("idle_clock", None)
    parent[last] = price.model_dump(exclude_none=True)
    return True


def write_overlay(overlay: Overlay, path: Path) -> Path:
    """Write the file, whole or not at all; an overlay of the same chip there is replaced.

    Raises:
        ChipFileError: something else lies there; it is left alone.
        OSError: the folder takes no file.
    """
    from ruamel.yaml import YAML

    if path.exists() and read_overlay(path)[0].chip != overlay.chip:
        raise ChipFileError(f"{path} is an overlay of another chip; it is left alone")
    writer = YAML()
    writer.width, writer.allow_unicode = 100, True
    text = io.StringIO()
    writer.dump(overlay.model_dump(exclude_none=True), text)
    return write_file(path, text.getvalue().encode())

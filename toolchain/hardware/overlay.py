"""Overlay files: a user's own constants for a chip, which replace those of the chip's file.

    chip: xylo_a3
    note: origin of the constants
    sources:
      own_readings: {title: my board, url: ""}
    constants:
      rails.digital.static: {value: 150, low: 146, high: 154, unit: µW, source: own_readings, ...}

Each constant replaces the one of that name (see ``toolchain.hardware.power``). In a rail with only
the idle draw at one clock on file, ``static`` and ``clock_slope`` replace that.
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
    """Content of an overlay file.

    Attributes:
        chip: name of the chip.
        note: a comment.
        sources: documents that the constants refer to, under keys that the chip's file lacks.
        constants: the new price by name of the constant.

    >>> sources = {"board": {"title": "my board", "url": ""}}
    >>> rest = {"scope": "idle", "conditions": "clock off", "source": "board", "basis": "measured"}
    >>> static = {"value": 150, "low": 146, "high": 154, "unit": "µW", **rest}
    >>> constants = {"rails.digital.static": static}
    >>> data = {"chip": "xylo_a3", "sources": sources, "constants": constants}
    >>> Overlay.model_validate(data).constants["rails.digital.static"].range("µW")
    (146.0, 150.0, 154.0)
    """

    chip: Name
    note: str = ""
    sources: NameTable[Source]
    constants: NameTable[Price]


def read_overlay(path: Path) -> tuple[Overlay, YamlDocument]:
    """Return the file's content, and its document with the line of each field.

    Raises:
        ChipFileError: the file is invalid; the message lists every fault with its line.

    >>> from pathlib import Path
    >>> path = write_overlay(Overlay(chip="xylo_a3", sources={}, constants={}), Path("mine.yaml"))
    >>> read_overlay(path)[0].chip
    'xylo_a3'
    """
    document = read_yaml(path)
    data = document.data if isinstance(document.data, dict) else {}
    sources = data.get("sources")
    context = {"sources": sources} if isinstance(sources, dict) else None
    try:
        overlay = Overlay.model_validate(document.data, context=context)
    except ValidationError as error:
        faults = [
            (document.line(detail["loc"]), _located(detail["loc"], text_of(detail)))
            for detail in error.errors(include_url=False)
            if detail["loc"] not in document.unread
        ]
        raise ChipFileError(report(path, [*document.faults, *faults])) from None
    if document.faults:
        raise ChipFileError(report(path, document.faults))
    return overlay, document


def _located(location: tuple[int | str, ...], text: str) -> str:
    where = dotted(location)
    return f"{where}: {text}" if where else text


def applied(data: Any, overlay: Overlay, document: YamlDocument) -> tuple[Any, list[LineFault]]:
    """Return a chip file's data with the overlay's constants, and the faults of the overlay.

    Args:
        data: data of the chip's file, from ``read_yaml``; not changed.
        overlay: from ``read_overlay``.
        document: from ``read_overlay``; faults have the lines of its file.
    """
    changed, faults = copy.deepcopy(data), []
    if overlay.chip != changed["name"]:
        text = f"chip: is {overlay.chip!r}, must be {changed['name']!r}"
        return changed, [(document.line(("chip",)), text)]
    for key, source in overlay.sources.items():
        if key in changed["sources"]:
            line = document.line(("sources", key))
            faults.append((line, f"sources.{key}: the file of {overlay.chip} already has this key"))
        changed["sources"][key] = source.model_dump()
    for name, price in overlay.constants.items():
        if not _replace(changed["power"], name.split("."), price):
            line = document.line(("constants", name))
            faults.append((line, f"constants: {overlay.chip} has no constant {name}"))
    return changed, faults


def _replace(power: dict[str, Any], path: list[str], price: Price) -> bool:
    """Put ``price`` at ``path``; return False if the path does not exist."""
    *parents, last = path
    parent: Any = power
    for part in parents:
        parent = parent.get(part) if isinstance(parent, dict) else None
    share = len(parents) == 3 and parents[0] == "actions" and parents[2] == "share"
    if not isinstance(parent, dict) or not (last in parent if share else last in PRICES):
        return False
    if last not in parent:
        splits = len(parents) == 2 and last in ("static", "clock_slope")
        if not splits or not {"idle", "static", "clock_slope"} & set(parent):
            return False
        parent.pop("idle", None)
        parent.pop("idle_clock", None)
    parent[last] = price.model_dump(exclude_none=True)
    return True


def write_overlay(overlay: Overlay, path: Path) -> Path:
    """Write the file atomically; an overlay of the same chip at ``path`` is replaced.

    Raises:
        ChipFileError: another file exists at ``path``; it is not overwritten.
        OSError: the file cannot be written.

    >>> from pathlib import Path
    >>> overlay = Overlay(chip="xylo_a3", note="no change", sources={}, constants={})
    >>> write_overlay(overlay, Path("mine.yaml")).read_text().splitlines()[:2]
    ['chip: xylo_a3', 'note: no change']
    """
    from ruamel.yaml import YAML

    if path.exists() and read_overlay(path)[0].chip != overlay.chip:
        raise ChipFileError(f"{path} is an overlay of another chip; it was not overwritten")
    writer = YAML()
    writer.width, writer.allow_unicode = 100, True
    text = io.StringIO()
    writer.dump(overlay.model_dump(exclude_none=True), text)
    return write_file(path, text.getvalue().encode())

"""Chips by name, or from a specification file of one's own.

The files lie in ``hardware_specs`` at the top of the source tree. A wheel carries them as
``toolchain/hardware_specs``; an editable install uses the source tree, where that folder is absent
and the one beside ``toolchain`` is taken.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from toolchain.diagnostics import ChipFileError
from toolchain.hardware.faults import Fault, dotted, report, text_of
from toolchain.hardware.overlay import applied, read_overlay
from toolchain.hardware.speck import SpeckChip
from toolchain.hardware.xylo import XyloChip
from toolchain.hardware.yaml_file import Document, Location, read_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Chip", "list_chips", "load_chip"]

Chip = Annotated[XyloChip | SpeckChip, Field(discriminator="family")]
"""A chip of any family."""


def list_chips() -> tuple[str, ...]:
    """The names of the chips that come with the toolchain, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def load_chip(
    name: str | os.PathLike[str], *, overlay: str | os.PathLike[str] | None = None
) -> XyloChip | SpeckChip:
    """The specification of a chip.

    ``name`` is one of ``list_chips()``, an alias, a vendor's id, all in any case, or the path of a
    specification file; text that ends in ``.yaml`` or holds a slash is a path. ``overlay`` is the
    path of a file with constants of one's own, as ``toolchain.estimate.calibrate`` writes it.

    Raises:
        ValueError: no chip has that name.
        ChipFileError: the file or the overlay is wrong; the message lists every fault with its
            line.
    """
    if not isinstance(name, str) or name.endswith(".yaml") or {"/", os.sep} & set(name):
        path = Path(name)
        return _read(path) if overlay is None else _overlaid(path, Path(overlay))
    lower = name.lower()
    if lower not in list_chips() and lower not in _other_names():
        raise ValueError(_unknown(name))
    known = _other_names()[lower] if lower not in list_chips() else lower
    if overlay is not None:
        return _overlaid(_folder() / f"{known}.yaml", Path(overlay))
    return _built_in(known)


def _unknown(name: str) -> str:
    names = [*list_chips(), *_other_names()]
    close = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f", did you mean {close[0]!r}?" if close else "."
    aliases = sorted(alias for chip in list_chips() for alias in _built_in(chip).aliases)
    return (
        f"unknown chip {name!r}{hint} Known are {', '.join(list_chips())};"
        f" aliases {', '.join(aliases)}; vendor ids; and paths of specification files."
    )


@cache
def _folder() -> Path:
    package = Path(__file__).parents[1]
    packed = package / "hardware_specs"
    return packed if packed.is_dir() else package.parent / "hardware_specs"


@cache
def _built_in(name: str) -> XyloChip | SpeckChip:
    return _read(_folder() / f"{name}.yaml")


@cache
def _other_names() -> dict[str, str]:
    """Alias or vendor id to the name of the chip."""
    chips = map(_built_in, list_chips())
    return {other: chip.name for chip in chips for other in (*chip.aliases, *chip.vendor_ids)}


def _read(path: Path) -> XyloChip | SpeckChip:
    document = read_yaml(path)
    chip, faults = _validate(document, path.stem)
    if chip is None or faults:
        raise ChipFileError(report(path, faults))
    return chip


def _overlaid(path: Path, overlay: Path) -> XyloChip | SpeckChip:
    """The chip of ``path`` with the constants of ``overlay``, which is to blame for the faults."""
    _read(path)
    document = read_yaml(path)
    found, own = read_overlay(overlay)
    data, faults = applied(document.data, found, own)
    if not faults:
        chip, wrong = _validate(replace(document, data=data), path.stem)
        if chip is not None and not wrong:
            return chip
        places: dict[Location, str] = {
            ("power", *name.split(".")): name for name in found.constants
        }
        faults = [(_line(own, places, text), text) for _, text in wrong]
    raise ChipFileError(report(overlay, faults))


def _line(own: Document, places: Mapping[Location, str], text: str) -> int:
    """The line of the constant that a fault of the whole is about, or that of all of them."""
    for place, name in places.items():
        if text.startswith(dotted(place)):
            return own.line(("constants", name))
    return own.line(("constants",))


def _validate(document: Document, stem: str) -> tuple[XyloChip | SpeckChip | None, list[Fault]]:
    faults = list(document.faults)
    data = document.data if isinstance(document.data, dict) else {}
    if "name" in data and data["name"] != stem:
        text = f"name: is {data['name']!r}, must be that of the file, {stem!r}"
        faults.append((document.line(("name",)), text))
    sources = data.get("sources")
    context = {"sources": sources} if isinstance(sources, dict) else None
    try:
        return _adapter().validate_python(document.data, context=context), faults
    except ValidationError as error:
        # what the model says of a field that could not be read is no news
        details = (
            detail
            for detail in error.errors(include_url=False)
            if _location(detail) not in document.unread
        )
        return None, faults + [_fault(detail, document) for detail in details]


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Chip)


def _fault(detail: ErrorDetails, document: Document) -> Fault:
    location = _location(detail)
    where = dotted(location)
    text = text_of(detail)
    return document.line(location), f"{where}: {text}" if where else text


def _location(detail: ErrorDetails) -> Location:
    if detail["type"].startswith("union_tag"):
        return ("family",)
    return detail["loc"][1:]  # the first is the family

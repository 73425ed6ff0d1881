"""Chip specifications by name or path, and the family of a chip.

``chip_files`` finds the files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from toolchain.chips import plugins
from toolchain.chips.chip_files import (
    ChipFile,
    built_in_files,
    built_in_names,
    chip_files,
    document_of,
    find_chip_file,
    raw_field,
)
from toolchain.chips.contract import Family, Options
from toolchain.chips.plugins import warn_skipped
from toolchain.diagnostics import ChipFileError, PluginError
from toolchain.hardware import SpecBase
from toolchain.hardware.faults import LineFault, dotted, report, text_of
from toolchain.hardware.overlay import applied, read_overlay
from toolchain.hardware.yaml_file import Location, YamlDocument
from toolchain.report import brief

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["chips_of", "families", "family_of", "list_chips", "load_chip", "load_family"]

FAMILIES = "snn_toolchain.families"
"""Entry point group."""


def list_chips() -> tuple[str, ...]:
    """Return the names of all chips, sorted: built in, from installed packages and the user's own.

    >>> "xylo_a2" in list_chips()
    True
    """
    return tuple(sorted(chip_files()))


def load_chip(
    name: str | os.PathLike[str], *, overlay: str | os.PathLike[str] | None = None
) -> SpecBase:
    """Read the specification of a chip.

    Args:
        name: one of ``list_chips()``, an alias or a vendor id, all in any case, or the path of a
            chip file; text that ends in ``.yaml`` or contains a slash is a path.
        overlay: path of a file with measured constants, as ``toolchain.estimate.calibrate`` writes
            it; they replace those of the chip file.

    Raises:
        ValueError: unknown chip (the message lists the known ones), or no name or path.
        ChipFileError: the file or the overlay is invalid (the message lists every fault with its
            line).
        PluginError: the chip's family cannot be imported.

    >>> load_chip("xylo").name
    'xylo_a2'
    """
    given: Any = name
    if not isinstance(given, str | os.PathLike):
        got = f"{given!r}: give its name" if isinstance(given, SpecBase) else brief(given)
        raise ValueError(f"chip must be a name or the path of a chip file, got {got}")
    if not isinstance(name, str) or name.endswith(".yaml") or {"/", os.sep} & set(name):
        path = Path(name)
        file = ChipFile(name=path.stem, path=path, origin=f"file {path.name}", listed=False)
    else:
        file = find_chip_file(name)
    if overlay is not None:
        return _read_with_overlay(file, Path(overlay))
    return _built_in(file) if not file.origin else _read(file)


@cache
def load_family(name: str) -> type[Family]:
    """Import the family called ``name``.

    Raises:
        ValueError: unknown family (the message lists the known ones).
        PluginError: it cannot be imported, or does not implement the whole contract.

    >>> load_family("xylo").QUANTIZERS[0]
    'auto'
    """
    known = plugins.find(FAMILIES)
    if name not in known:
        raise ValueError(
            f"unknown family {name!r}; installed: {', '.join(sorted(known))}. A package adds "
            f"one through an entry point in {FAMILIES}"
        )
    family: Any = plugins.load(known[name])
    members = {*vars(Family), *Family.__annotations__}
    public = sorted(member for member in members if not member.startswith("_"))
    left = getattr(family, "__abstractmethods__", ())
    if missing := [m for m in public if m in left or not hasattr(family, m)]:
        raise PluginError(
            f"plug-in {known[name].title} is not a chip family: missing {', '.join(missing)}"
        )
    for member, base in (("SPEC", SpecBase), ("OPTIONS", Options)):
        if not _derived(getattr(family, member), base):
            raise PluginError(
                f"plug-in {known[name].title} is not a chip family: {member} must be a class "
                f"derived from {base.__name__}, got {getattr(family, member)!r}"
            )
    found: type[Family] = family
    return found


def _derived(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def family_of(chip: SpecBase) -> Family:
    """Return the family of a chip, bound to that chip.

    >>> family_of(load_chip("speck")).TITLE
    'Speck'
    """
    return load_family(chip.family).on(chip)


def chips_of(family: str) -> Iterator[SpecBase]:
    """Yield every chip of a family, in the order of ``list_chips``; import no other family.

    A file that cannot be read is skipped with a warning.

    >>> "xylo_a3" in [chip.name for chip in chips_of("xylo")]
    True
    """
    for name, file in sorted(chip_files().items()):
        yield from _if_of(family, name, file)


def _if_of(family: str, name: str, file: ChipFile) -> Iterator[SpecBase]:
    try:
        if raw_field(file, "family") == family:
            yield load_chip(name)
    except ChipFileError as fault:
        warn_skipped(file.title, fault)


def families() -> Iterator[type[Family]]:
    """Yield every installed family; one that cannot be imported is skipped with a warning."""
    for name in sorted(plugins.find(FAMILIES)):
        yield from _family_or_warning(name)


def _family_or_warning(name: str) -> Iterator[type[Family]]:
    try:
        yield load_family(name)
    except PluginError as fault:
        warn_skipped(f"family {name!r}", fault)


@cache
def _built_in(file: ChipFile) -> SpecBase:
    return _read(file)


def _read_with_overlay(file: ChipFile, overlay: Path) -> SpecBase:
    """Return the chip of ``file`` with the constants of ``overlay``.

    Raises:
        ChipFileError: either file is invalid; a fault of both combined is reported for the overlay.
    """
    _read(file)
    document = document_of(file)
    found, own = read_overlay(overlay)
    data, faults = applied(document.data, found, own)
    if not faults:
        chip, wrong = _validate(replace(document, data=data), file)
        if chip is not None and not wrong:
            return chip
        places: dict[Location, str] = {
            ("power", *name.split(".")): name for name in found.constants
        }
        faults = [(_line(own, places, text), text) for _, text in wrong]
    raise ChipFileError(report(overlay, faults))


def _line(own: YamlDocument, places: Mapping[Location, str], text: str) -> int:
    """Return the overlay's line for a fault: that of the constant, else of all constants."""
    for place, name in places.items():
        if text.startswith(dotted(place)):
            return own.line(("constants", name))
    return own.line(("constants",))


def _read(file: ChipFile) -> SpecBase:
    document = document_of(file)
    chip, faults = _validate(document, file)
    if chip is None or faults:
        raise ChipFileError(report(file.path, faults))
    return chip


def _validate(document: YamlDocument, file: ChipFile) -> tuple[SpecBase | None, list[LineFault]]:
    """Return the chip of a document, or None if it is invalid, and the faults."""
    faults = list(document.faults)
    data = document.data
    if not isinstance(data, dict):
        return None, [*faults, (1, f"must be a mapping, got {data!r:.40}")]
    if "name" in data and data["name"] != file.path.stem:
        text = f"name: is {data['name']!r}, must equal the file name, {file.path.stem!r}"
        faults.append((document.line(("name",)), text))
    model, unknown = _model(data.get("family"))
    if model is None:
        where = document.line(("family",))
        return None, [*faults, (where, unknown)] if ("family",) not in document.unread else faults
    sources = data.get("sources")
    context = {"sources": sources} if isinstance(sources, dict) else None
    try:
        chip = model.model_validate(document.data, context=context)
    except ValidationError as error:
        # fields that could not be read are reported already
        details = (
            detail
            for detail in error.errors(include_url=False)
            if detail["loc"] not in document.unread
        )
        return None, faults + [_fault(detail, document) for detail in details]
    faults += _name_conflicts(chip, file, document) if file.origin and file.listed else []
    return chip.from_origin(_origin(file)), faults


def _model(family: Any) -> tuple[type[SpecBase] | None, str]:
    """Return the model of a family's chip files, or None and the reason as a message."""
    known = plugins.find(FAMILIES)
    if family in known if isinstance(family, str) else False:
        return load_family(family).SPEC, ""
    if family is None:
        return None, f"family: is missing, must be one of {', '.join(sorted(known))}"
    return None, (
        f"family: is {family!r}, must be one of {', '.join(sorted(known))}; a package adds a "
        f"family through an entry point in {FAMILIES}"
    )


def _name_conflicts(chip: SpecBase, file: ChipFile, document: YamlDocument) -> Iterator[LineFault]:
    """Yield a fault for each alias or vendor id that a built-in chip uses already."""
    known = {**built_in_files(), **built_in_names()}
    for name in chip.names:
        if name in known:
            field = "aliases" if name in chip.aliases else "vendor_ids"
            text = f"{field}: {name!r} of {file.name} is already a name of {known[name].title}"
            yield document.line((field,)), text


def _origin(file: ChipFile) -> str:
    """Return origin and digest of a chip file as text; empty for a built-in file."""
    if not file.origin:
        return ""
    return f"{file.origin}, sha256 {hashlib.sha256(file.path.read_bytes()).hexdigest()[:12]}"


def _fault(detail: ErrorDetails, document: YamlDocument) -> LineFault:
    where = dotted(detail["loc"])
    text = text_of(detail)
    return document.line(detail["loc"]), f"{where}: {text}" if where else text

"""Chip specifications as data of an artifact, and what changed in a chip file since.

An artifact has the specification that it was deployed to, so that it can be read where the chip
file is missing, and gives the same results where it has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from toolchain.archive import as_json
from toolchain.chips.chip_files import built_in_files
from toolchain.chips.load import load_chip, load_family
from toolchain.diagnostics import ChipFileError, Diagnostic, Severity
from toolchain.hardware import SpecBase
from toolchain.hardware.faults import dotted, report, text_of
from toolchain.hardware.overlay import applied, read_overlay
from toolchain.report import brief

__all__ = ["RULE", "chip_data", "chip_of", "since_then", "with_overlay"]

RULE = "chip_file"
"""Rule of the finding about a chip file that has changed."""
MOST_NAMED = 4
WITHOUT_EFFECT = {
    "aliases",
    "basis",
    "conditions",
    "errata",
    "note",
    "source",
    "sources",
    "title",
    "vendor_ids",
}
"""Fields of a chip file that no result is computed from."""


def chip_data(chip: SpecBase) -> dict[str, Any]:
    """Return a specification with its origin as data for JSON, for ``chip_of``."""
    return {"origin": chip.origin, "specification": chip.as_dict()}


def chip_of(data: Mapping[str, Any]) -> SpecBase:
    """Return the specification that ``chip_data`` converted.

    Raises:
        ValueError: no valid specification (the message lists the first faults), or of a family
            that is not installed.
        PluginError: its family cannot be imported.

    >>> from toolchain import load_chip
    >>> chip = load_chip("xylo_a3")
    >>> chip_of(chip_data(chip)) == chip
    True
    """
    if data.keys() != {"origin", "specification"} or not isinstance(data["origin"], str):
        raise ValueError("must have an origin and a specification")
    found = data["specification"]
    family = found.get("family") if isinstance(found, dict) else None
    if not isinstance(family, str):
        raise ValueError("specification: family is missing")
    sources = found.get("sources")
    context = {"sources": sources} if isinstance(sources, dict) else None
    try:
        chip = load_family(family).SPEC.model_validate_json(as_json(found), context=context)
    except ValidationError as error:
        faults = [f"{dotted(d['loc'])}: {text_of(d)}" for d in error.errors(include_url=False)]
        more = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        raise ValueError("; ".join(faults[:MOST_NAMED]) + more) from None
    return chip.from_origin(data["origin"])


def with_overlay(chip: SpecBase, overlay: Path) -> SpecBase:
    """Return the chip with the constants of a file; its own file is not read again.

    Raises:
        ChipFileError: the overlay is invalid, or does not suit the chip.
    """
    found, own = read_overlay(overlay)
    data, faults = applied(chip.as_dict(), found, own)
    if not faults:
        try:
            return chip_of({"origin": chip.origin, "specification": data})
        except ValueError as fault:
            faults = [(own.line(("constants",)), str(fault))]
    raise ChipFileError(report(overlay, faults))


def since_then(chip: SpecBase) -> tuple[Diagnostic, ...]:
    """Return a finding if a chip that was built in differs from the built-in one of today.

    A warning if the difference concerns a number that results are computed from.
    """
    if chip.origin:
        return ()
    if chip.name not in built_in_files():
        return (_finding(chip, Severity.INFO, "no chip of that name is built in now"),)
    now = load_chip(chip.name)
    if type(now) is not type(chip):
        return (_finding(chip, Severity.WARNING, f"the built-in one is a {now.family} chip now"),)
    changes = dict(_changes(chip.as_dict(), now.as_dict(), ()))
    if not changes:
        return ()
    # those with an effect first
    named = sorted(changes, key=lambda path: bool(WITHOUT_EFFECT.intersection(path)))
    effect = bool(named) and not WITHOUT_EFFECT.intersection(named[0])
    texts = [f"{dotted(path)}: {changes[path]}" for path in named[:MOST_NAMED]]
    if len(named) > MOST_NAMED:
        texts.append(f"and {len(named) - MOST_NAMED} more")
    what = f"the built-in one has changed since, {'; '.join(texts)}"
    return (_finding(chip, Severity.WARNING if effect else Severity.INFO, what),)


def _finding(chip: SpecBase, severity: Severity, what: str) -> Diagnostic:
    return Diagnostic(
        rule=RULE,
        severity=severity,
        where="network",
        message=f"the chip file of the artifact, {chip.name}.yaml, is used: {what}",
    )


def _changes(
    old: Any, new: Any, path: tuple[int | str, ...]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yield the place of each entry that differs, with both values as text."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from _changes(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _changes(a, b, (*path, number))
    elif old != new or type(old) is not type(new):
        yield path, f"{brief(old)} -> {brief(new)}"

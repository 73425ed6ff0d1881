"""Options of a family, merged with deprecated keyword arguments."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from toolchain.chips.contract import Family, Options

__all__ = ["merge_options"]


def merge_options(
    family: Family, options: Options | None, deprecated: Mapping[str, Any]
) -> Options:
    """Return ``options`` with the values of deprecated keyword arguments filled in.

    Args:
        family: the family, bound to a chip.
        options: options of the user; None for the family's defaults.
        deprecated: value by keyword; None if it was not given.

    Raises:
        ValueError: options of another family, a keyword without an option of the family, or one
            that ``options`` sets too.
    """
    kind = family.OPTIONS
    if options is not None and type(options) is not kind:
        takes = "no options" if kind is Options else f"options of type {kind.__name__}"
        raise ValueError(f"{family.chip.name} takes {takes}, got {type(options).__name__}")
    found = kind() if options is None else options
    given = {name: value for name, value in deprecated.items() if value is not None}
    for name in given:
        if name not in {field.name for field in fields(kind)}:
            raise ValueError(
                f"{family.chip.name} takes no {name}=: chips of {family.TITLE} have no such setting"
            )
        if getattr(found, name) != getattr(kind(), name):
            raise ValueError(f"{name} is given twice: in options= and as {name}=")
        warnings.warn(
            f"{name}= is deprecated; give options={kind.__name__}({name}=...)",
            DeprecationWarning,
            stacklevel=3,
        )
    return replace(found, **given)

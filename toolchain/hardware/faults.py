"""Faults of a file as lines of text: place, value found, value needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.hardware.yaml_file import Location
from toolchain.report import plural, visible

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["LineFault", "dotted", "report", "text_of"]

LineFault = tuple[int, str]
"""The line, counted from 1, and the fault there."""


def report(path: Path, faults: Iterable[LineFault]) -> str:
    """Return all faults of a file as text, in the order of their lines."""
    lines = [f"  line {line}: {text}" for line, text in sorted(faults)]
    head = f"{path}: {plural(len(lines), 'fault')}"
    return "\n".join(visible(line, one_line=True) for line in (head, *lines))


def dotted(location: Location) -> str:
    """Return a location as text: ``errata[0].source``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def text_of(detail: ErrorDetails) -> str:
    """Return a fault found by pydantic, worded like the other faults."""
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field of a specification"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            return f"must be a mapping, got {detail['input']!r}"
    message = detail["msg"].removeprefix("Input should be ")
    return f"must be {message}, got {detail['input']!r}"

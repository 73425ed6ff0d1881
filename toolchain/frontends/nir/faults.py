"""Problems of a NIR file, combined into one error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from toolchain.diagnostics import ModelFileError
from toolchain.report import visible

__all__ = ["NirFault", "file_error"]

NirFault: TypeAlias = tuple[str, str]
"""Path in the file or graph (may be empty), and the problem."""
SHOWN = 25


def file_error(where: str, faults: Sequence[NirFault]) -> ModelFileError:
    """Build an error that names the file, then each place and its problem."""
    shown = [(visible(place, one_line=True), text) for place, text in faults[:SHOWN]]
    lines = [f"{place}: {text}" if place else text for place, text in shown]
    if len(faults) == 1:
        return ModelFileError(f"{where}: {lines[0]}")
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return ModelFileError("\n  ".join([f"{where}: {len(faults)} errors", *lines, *more]))

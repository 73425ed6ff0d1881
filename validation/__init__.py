"""Comparison of the power estimator with published readings: ``make validation``."""

from __future__ import annotations

from pathlib import Path

from validation import rows_io, rows_speck, rows_xylo
from validation.lines import Line

__all__ = ["all_lines"]


def all_lines(folder: Path) -> list[Line]:
    """Return every line of the table, by row; ``folder`` may contain published networks."""
    found = [*rows_xylo.rows(folder), *rows_speck.rows(), *rows_io.rows()]
    return sorted(found, key=lambda line: int(line.row.partition(" ")[0].removeprefix("V")))

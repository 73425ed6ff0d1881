"""A figure of the benchmark, and the comparison of two runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

__all__ = ["SLACK", "Figure", "markdown", "read", "table", "worse", "write"]

SLACK = 1.5
"""Factor by which a figure may be worse than the committed one: twice the spread that runs on one
shared machine with two cores show."""

SMALL = {"s": 0.05, "MB": 50.0}
"""Differences that never count, by unit: the resolution of the measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table.

    Attributes:
        name: what is measured.
        value: the result.
        unit: ``x`` is a ratio to another simulator or to work of the same run; ``s``, ``ms`` and
            ``MB`` are processor time and memory; ``exponent`` is a growth.
        better: whether more or less of it is better.
        cpu, wall: least processor and wall time of one call of our side, s.
        load: load average of the machine afterwards.
        scale: processor time of ``measure.yardstick`` in the same run, s. Times of two runs are
            compared as multiples of it.
        limit: what the figure may not exceed in any run; None without such a limit.
    """

    name: str
    value: float
    unit: str
    better: Literal["more", "less"]
    cpu: float | None = None
    wall: float | None = None
    load: float = 0.0
    scale: float = 1.0
    limit: float | None = None

    def compared(self) -> float:
        """Return the value that two machines have in common."""
        return self.value / self.scale if self.unit in ("s", "ms") else self.value


def write(figures: Iterable[Figure], path: Path) -> None:
    """Write figures as JSON."""
    rounded = [
        {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in asdict(f).items()}
        for f in figures
    ]
    path.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Figure]:
    """Read the figures of a file by name."""
    return {each["name"]: Figure(**each) for each in json.loads(path.read_text(encoding="utf-8"))}


def change(now: Figure, before: Figure) -> float:
    """Return by what factor a figure is worse than before; below 1 it is better."""
    a, b = now.compared(), before.compared()
    if now.better == "more":
        return b / max(a, 1e-12)
    return max(a, 1e-12) / max(b, 1e-12)


def worse(figures: Sequence[Figure], committed: dict[str, Figure]) -> list[str]:
    """Return the names of those beyond their limit, or worse than committed beyond ``SLACK``."""
    found = []
    for now in figures:
        if now.limit is not None and now.value > now.limit:
            found.append(now.name)
            continue
        before = committed.get(now.name)
        if before is None or abs(now.value - before.value) <= SMALL.get(now.unit, 0.0):
            continue
        if change(now, before) > SLACK:
            found.append(now.name)
    return found


def table(figures: Sequence[Figure], committed: dict[str, Figure]) -> str:
    """Return figures, times and load as text, with the committed figure beside each."""
    rows = Table(box=None)
    rows.add_column("measured")
    for heading in ("figure", "committed", "CPU", "wall", "load"):
        rows.add_column(heading, justify="right")
    for f in figures:
        before = committed.get(f.name)
        rows.add_row(
            f.name,
            _value(f),
            "" if before is None else _value(before),
            _time(f.cpu),
            _time(f.wall),
            f"{f.load:.1f}",
        )
    console = Console(width=120, highlight=False)
    with console.capture() as captured:
        console.print(rows)
    return captured.get()


def markdown(figures: Iterable[Figure]) -> str:
    """Return names and values as a table of Markdown."""
    rows = [f"| {f.name} | {_value(f)} |" for f in figures]
    return "\n".join(("| measured | figure |", "|---|---|", *rows))


def _value(figure: Figure) -> str:
    number = f"{figure.value:.3g}" if figure.value < 100 else f"{figure.value:.0f}"
    return f"{number}x" if figure.unit == "x" else f"{number} {figure.unit}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"

"""Table of the chip resources that each layer uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from toolchain.chips.contract import Resource
from toolchain.report import Bars, Column, Table, count, share

__all__ = ["resource_bars", "resource_table"]


def resource_table(title: str, resources: Iterable[Resource]) -> Table:
    """Return a table with one row per resource; layer and place only in a layer's first row."""
    return Table(
        title=title,
        columns=(
            *(Column(heading) for heading in ("layer", "place", "resource")),
            *(Column(heading, "right") for heading in ("used", "limit", "share")),
        ),
        rows=tuple(_rows(resources)),
    )


def resource_bars(title: str, resources: Iterable[Resource]) -> Bars:
    """Return a bar for each resource of which something is used and that has a limit."""
    parts = [(row, row.used / row.limit) for row in resources if row.used and row.limit]
    return Bars(
        title=title,
        bars=tuple((f"{row.layer}: {row.resource}", part, share(part)) for row, part in parts),
    )


def _rows(resources: Iterable[Resource]) -> Iterator[tuple[str, ...]]:
    last = ""
    for row in resources:
        names = (row.layer, row.place) if row.layer != last else ("", "")
        part = share(row.used / row.limit) if row.limit else ""
        yield *names, row.resource, count(row.used), count(row.limit), part
        last = row.layer

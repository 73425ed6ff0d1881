"""Rendering of a sheet as text for a terminal; readable without colour."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from toolchain.report.sheet import Sheet, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

__all__ = ["render"]


def render(sheet: Sheet, width: int = 100) -> str:
    """Return ``sheet`` as text of at most ``width`` columns, without trailing spaces.

    Cells and lines are printed literally: ``[red]`` and ``:x:`` are names, not markup.
    """
    from rich.console import Console, Group
    from rich.text import Text

    # force_jupyter=False: within a notebook rich would display the text and leave the file empty
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system=None,
        markup=False,
        emoji=False,
        force_jupyter=False,
    )
    parts: list[RichTable | Text] = []
    for block in sheet.blocks:
        if isinstance(block, Table):
            parts.append(_rich_table(block))
        else:
            parts.extend(map(Text, block.lines))
    console.print(Group(*parts))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def _rich_table(table: Table) -> RichTable:
    from rich.table import Table as RichTable

    printed = RichTable(title=table.title, title_justify="left", box=None, pad_edge=table.indented)
    for column in table.columns:
        printed.add_column(column.heading, justify=column.align, no_wrap=not column.wraps)
    for row in table.rows:
        printed.add_row(*row)
    return printed

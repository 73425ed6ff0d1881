"""Rendering of a sheet as text, for terminals, pipes and logs; readable without colour."""

from __future__ import annotations

import io
import re
import shutil
import sys
from typing import TYPE_CHECKING

from toolchain.report.sheet import Sheet, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

__all__ = ["render"]

WIDTH = 100
"""Widest line, and the width where the output is no terminal."""
NARROWEST = 40
PADDING = 2
"""Spaces between two columns."""

TOGETHER = re.compile(r"(?<=\d) (?=[%/\d]|[nµmkMG]?(?:W|J|s|Hz|bit|V)\b)")
"""The space between a number and its unit, or between the digits of a number."""
KEPT = "\ue000"
"""Stands for such a space while lines are broken: a character for private use, one column wide."""


def render(sheet: Sheet, width: int | None = None) -> str:
    """Return ``sheet`` as text, without trailing spaces.

    Cells and lines are printed literally: ``[red]`` and ``:x:`` are names, not markup.

    Args:
        sheet: its figures are left out.
        width: columns of the longest line; by default those of the terminal, at most 100, and 100
            where standard output is no terminal.

    >>> from toolchain.report import Column, Sheet, Table, Text
    >>> table = Table(columns=(Column("layer"), Column("spikes", "right")), rows=(("fc0", "12"),))
    >>> print(render(Sheet((table, Text(("dt: 0.001 s",))), title="one layer")))
    one layer
     layer  spikes
     fc0        12
    dt: 0.001 s
    """
    from rich.console import Console, Group
    from rich.text import Text

    # force_jupyter=False: within a notebook rich would display the text and leave the file empty
    console = Console(
        file=io.StringIO(),
        width=terminal_width() if width is None else width,
        color_system=None,
        markup=False,
        emoji=False,
        force_jupyter=False,
    )
    parts: list[RichTable | Text] = []
    for block in sheet.visible().parts:
        if isinstance(block, Table):
            parts.append(_rich_table(block, console.width))
        else:
            parts.extend(Text(_kept_together(line)) for line in block.lines)
    console.print(Group(*parts))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().replace(KEPT, " ").splitlines()
    return "\n".join(line.rstrip() for line in lines)


def terminal_width() -> int:
    """Return the columns to print into: the terminal's, between 40 and 100, or 100 without one."""
    try:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    except (AttributeError, ValueError):  # no standard output, or a closed one
        columns = WIDTH
    return max(NARROWEST, min(WIDTH, columns))


def _kept_together(text: str) -> str:
    """Return ``text`` with each number and its unit as one word."""
    return TOGETHER.sub(KEPT, text)


def _rich_table(table: Table, width: int) -> RichTable:
    from rich.table import Table as RichTable

    printed = RichTable(
        title=_kept_together(table.title) or None,
        title_justify="left",
        box=None,
        pad_edge=table.indented,
    )
    longest = [_longest_word(table, number) for number in range(len(table.columns))]
    room = sum(longest) + PADDING * len(longest) <= width
    for column, least in zip(table.columns, longest, strict=True):
        printed.add_column(
            column.heading,
            justify=column.align,
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
            min_width=least if column.wraps and room else None,
        )
    for row in table.rows:
        printed.add_row(*map(_kept_together, row))
    return printed


def _longest_word(table: Table, number: int) -> int:
    """Return the length of the longest word in a column, which no line break divides."""
    texts = (table.columns[number].heading, *(row[number] for row in table.rows))
    return max(len(word) for text in texts for word in (_kept_together(text).split() or [""]))

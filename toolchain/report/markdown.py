"""Rendering of a sheet as Markdown, with tables as GitHub and most other tools read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from toolchain.report.sheet import Sheet, Table

__all__ = ["to_markdown"]

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
LIST_MARK = re.compile(r"^(\s*)([-+]|\d+(?=[.)]))(?=[-+.)\s])")
"""Start of a line that would begin a list or a rule."""


def to_markdown(sheet: Sheet) -> str:
    r"""Return ``sheet`` as Markdown; its figures are left out, since its tables hold the numbers.

    >>> from toolchain.report import Column, Sheet, Table
    >>> table = Table(columns=(Column("layer"), Column("spikes", "right")), rows=(("fc_0", "12"),))
    >>> print(to_markdown(Sheet((table,), title="one layer")))
    **one layer**
    <BLANKLINE>
    | layer | spikes |
    | :-- | --: |
    | fc\_0 | 12 |
    """
    return "\n\n".join("\n".join(part) for part in _parts(sheet) if part)


def _parts(sheet: Sheet) -> Iterator[list[str]]:
    sheet = sheet.visible()
    if sheet.title:
        yield [f"**{_literal(sheet.title)}**"]
    for block in sheet.blocks:
        if isinstance(block, Table):
            if block.title:
                yield [f"**{_literal(block.title)}**"]
            yield [*_table(block)]
        else:
            # two spaces at the end keep each line a line of its own
            yield [f"{_literal(line)}  " for text in block.lines for line in text.splitlines()]


def _table(table: Table) -> Iterator[str]:
    yield _row(column.heading for column in table.columns)
    yield f"| {' | '.join({'left': ':--', 'right': '--:'}[c.align] for c in table.columns)} |"
    yield from map(_row, table.rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_literal(cell).replace(chr(10), '<br>') for cell in cells)} |"


def _literal(text: str) -> str:
    """Return ``text`` escaped, so that no part of it is read as markup."""
    return LIST_MARK.sub(_unlisted, SPECIAL.sub(r"\\\1", text))


def _unlisted(match: re.Match[str]) -> str:
    space, mark = match.groups()
    return f"{space}{mark}\\" if mark.isdigit() else f"{space}\\{mark}"

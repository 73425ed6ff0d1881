"""Sheet: the tables and lines that describe one result, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Column", "Sheet", "Table", "Text"]


@dataclass(frozen=True, slots=True)
class Column:
    """Heading and layout of one column of a table.

    Attributes:
        heading: text above the column.
        align: side on which the cells are aligned.
        wraps: whether long cells continue on a further line; otherwise they are cut.
    """

    heading: str
    align: Literal["left", "right"] = "left"
    wraps: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under named columns.

    Attributes:
        title: line above the headings; none is printed if empty.
        columns: in order.
        rows: one cell per column each, plain text without markup.
        indented: whether rows start one space to the right of the title.

    Raises:
        ValueError: a row whose number of cells differs from the number of columns.
    """

    title: str = ""
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    indented: bool = True

    def __post_init__(self) -> None:
        """Check that each row fills the columns."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"row {row} has {len(row)} cells, expected {len(self.columns)}")


@dataclass(frozen=True, slots=True)
class Text:
    """Lines of running text.

    Attributes:
        lines: one paragraph each, plain text without markup.
    """

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a result shows, from top to bottom.

    Attributes:
        blocks: tables and texts, in order.
    """

    blocks: tuple[Table | Text, ...]

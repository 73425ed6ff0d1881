"""Sheet: the tables, lines and bar charts that describe one result, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar

from toolchain.report.words import visible

__all__ = ["Bars", "Column", "Sheet", "Table", "Text"]


@dataclass(frozen=True, slots=True)
class Column:
    """Heading and layout of one column of a table.

    Attributes:
        heading: text above the column.
        align: side on which the cells are aligned.
        wraps: whether long cells continue on a further line; otherwise they are cut.

    >>> Column("spikes", "right")
    Column(heading='spikes', align='right', wraps=True)
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

    >>> table = Table(columns=(Column("layer"), Column("spikes", "right")), rows=(("fc0", "12"),))
    >>> table.rows
    (('fc0', '12'),)
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

    >>> Text(("dt: 0.001 s",)).lines
    ('dt: 0.001 s',)
    """

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bar chart of one number for each label; drawn where a page can show it.

    Attributes:
        title: what the numbers are, with their unit.
        bars: label, length of the bar as a part of the full width 0..1, and the number as text.

    >>> Bars(title="share of the limit", bars=(("fc0", 0.25, "25.0 %"),)).bars[0][1]
    0.25
    """

    title: str
    bars: tuple[tuple[str, float, str], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Description of a result, from top to bottom.

    Attributes:
        blocks: tables and texts, in order; they hold every number.
        title: line above everything; none is printed if empty.
        figures: the same numbers as charts, below everything; text and Markdown leave them out.

    >>> Sheet((Text(("no layers",)),), title="an empty network").title
    'an empty network'
    """

    blocks: tuple[Table | Text, ...]
    title: str = ""
    figures: tuple[Bars, ...] = ()

    @property
    def parts(self) -> tuple[Table | Text, ...]:
        """The blocks below the title as one more line of text: to become part of another sheet."""
        return (Text((self.title,)), *self.blocks) if self.title else self.blocks

    def visible(self) -> Sheet:
        r"""Return the sheet with control characters as escapes, as every rendering shows it.

        Cells and lines do not end lines themselves: a name with a line break cannot imitate one.

        >>> Sheet((Text(("fc\x1b[2J",)),)).visible().blocks[0].lines
        ('fc\\x1b[2J',)
        """
        figures = tuple(
            Bars(
                title=_shown(figure.title),
                bars=tuple((_shown(a), length, _shown(b)) for a, length, b in figure.bars),
            )
            for figure in self.figures
        )
        return Sheet(tuple(map(_visible, self.blocks)), _shown(self.title), figures)

    def shortened(self, rows: int) -> Sheet:
        """Return the sheet with at most ``rows`` rows or lines a block, and how many are omitted.

        >>> Sheet((Text(("1", "2", "3", "4", "5")),)).shortened(4).blocks[0].lines
        ('1', '2', '... 2 more', '5')
        """
        blocks = tuple(
            replace(block, rows=_shortened(block.rows, rows, _gap_row(block)))
            if isinstance(block, Table)
            else Text(_shortened(block.lines, rows, str))
            for block in self.blocks
        )
        figures = tuple(
            replace(figure, bars=_shortened(figure.bars, rows, lambda text: (text, 0.0, "")))
            for figure in self.figures
        )
        return Sheet(blocks, self.title, figures)


_shown = partial(visible, one_line=True)


def _visible(block: Table | Text) -> Table | Text:
    if isinstance(block, Text):
        return Text(tuple(map(_shown, block.lines)))
    columns = (replace(each, heading=_shown(each.heading)) for each in block.columns)
    rows = tuple(tuple(map(_shown, row)) for row in block.rows)
    return replace(block, title=_shown(block.title), columns=tuple(columns), rows=rows)


T = TypeVar("T")


def _shortened(items: tuple[T, ...], most: int, gap: Callable[[str], T]) -> tuple[T, ...]:
    """Return the first and the last of ``items``, and between them how many are omitted."""
    if len(items) <= most:
        return items
    last = (most - 1) // 3
    first = most - 1 - last
    more = f"... {len(items) - first - last} more"
    return (*items[:first], gap(more), *items[len(items) - last :])


def _gap_row(table: Table) -> Callable[[str], tuple[str, ...]]:
    """Return a function that makes a row of ``table`` out of one text."""
    return lambda text: (text, *[""] * (len(table.columns) - 1))

"""Rendering of a sheet as HTML that fits into a page or a notebook, light or dark.

Everything is escaped; styles are inline, without colours but the bars', so that the page's own
theme applies, and no script is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from toolchain.report.sheet import Bars, Sheet, Table, Text

__all__ = ["to_html"]

CELL = "padding: 0.15em 0.7em; vertical-align: top; white-space: pre-wrap; text-align: {align}"
BAR = "background: #4477aa; height: 0.8em; width: {width:.1f}%"


def to_html(sheet: Sheet) -> str:
    """Return ``sheet`` as one ``<div>``.

    >>> from toolchain.report import Sheet, Text
    >>> print(to_html(Sheet((Text(("a < b",)),), title="one line")))
    <div class="snn-toolchain">
    <h4>one line</h4>
    <div style="white-space: pre-wrap">a &lt; b</div>
    </div>
    """
    return "\n".join(_lines(sheet))


def _lines(sheet: Sheet) -> Iterator[str]:
    sheet = sheet.visible()
    yield '<div class="snn-toolchain">'
    if sheet.title:
        yield f"<h4>{escape(sheet.title)}</h4>"
    for block in sheet.blocks:
        yield from _table(block) if isinstance(block, Table) else _text(block)
    for figure in sheet.figures:
        yield from _bars(figure)
    yield "</div>"


def _table(table: Table) -> Iterator[str]:
    yield '<table style="border-collapse: collapse; margin: 0.3em 0">'
    if table.title:
        yield f'<caption style="text-align: left">{escape(table.title)}</caption>'
    styles = [CELL.format(align=column.align) for column in table.columns]
    headings = [column.heading for column in table.columns]
    yield f"<thead>{_row('th', headings, styles)}</thead>"
    yield "<tbody>"
    for row in table.rows:
        yield _row("td", row, styles)
    yield "</tbody></table>"


def _row(tag: str, cells: tuple[str, ...] | list[str], styles: list[str]) -> str:
    texts = (
        f'<{tag} style="{style}">{escape(cell)}</{tag}>'
        for cell, style in zip(cells, styles, strict=True)
    )
    return f"<tr>{''.join(texts)}</tr>"


def _text(text: Text) -> Iterator[str]:
    if text.lines:
        yield f'<div style="white-space: pre-wrap">{escape(chr(10).join(text.lines))}</div>'


def _bars(figure: Bars) -> Iterator[str]:
    yield '<table style="border-collapse: collapse; margin: 0.3em 0; min-width: 30em">'
    yield f'<caption style="text-align: left">{escape(figure.title)}</caption><tbody>'
    for label, length, number in figure.bars:
        width = 100 * min(1.0, max(0.0, length))
        yield (
            f'<tr><td style="{CELL.format(align="left")}">{escape(label)}</td>'
            f'<td style="width: 60%"><div style="{BAR.format(width=width)}"></div></td>'
            f'<td style="{CELL.format(align="right")}">{escape(number)}</td></tr>'
        )
    yield "</tbody></table>"

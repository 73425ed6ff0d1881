"""Description of results as plain data, its renderings, and the words for numbers.

A result derives from ``Described`` and returns a ``Sheet`` from its ``sheet()``: text, notebooks,
HTML and Markdown show that sheet, so that they cannot disagree. Renderers do not depend on any type
of result. The package imports no other part of the toolchain, so that every module can describe
its own results.
"""

from toolchain.report.described import Brief, Described, brief
from toolchain.report.html import to_html
from toolchain.report.markdown import to_markdown
from toolchain.report.plain import plain
from toolchain.report.sheet import Bars, Column, Sheet, Table, Text
from toolchain.report.text import render
from toolchain.report.words import (
    count,
    percent,
    plural,
    share,
    short,
    shown,
    spread,
    times,
    visible,
)

__all__ = [
    "Bars",
    "Brief",
    "Column",
    "Described",
    "Sheet",
    "Table",
    "Text",
    "brief",
    "count",
    "percent",
    "plain",
    "plural",
    "render",
    "share",
    "short",
    "shown",
    "spread",
    "times",
    "to_html",
    "to_markdown",
    "visible",
]

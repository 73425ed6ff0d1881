"""Description of results as plain data, its rendering as text, and the words for numbers.

A result returns a ``Sheet`` from its ``sheet()``; what renders sheets knows no result. The package
imports no other part of the toolchain, so that every module can describe its own results.
"""

from toolchain.report.render import render
from toolchain.report.sheet import Column, Sheet, Table, Text
from toolchain.report.words import count, percent, plural, share, short, shown, spread, times

__all__ = [
    "Column",
    "Sheet",
    "Table",
    "Text",
    "count",
    "percent",
    "plural",
    "render",
    "share",
    "short",
    "shown",
    "spread",
    "times",
]

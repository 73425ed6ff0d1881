"""Described: a result with a sheet shows itself wherever it is looked at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from toolchain.report.html import to_html
from toolchain.report.markdown import to_markdown
from toolchain.report.sheet import Sheet
from toolchain.report.text import WIDTH, render

__all__ = ["Brief", "Described", "brief"]

MOST_ROWS = 60
"""Rows of one table in the output of a notebook's cell; ``print`` shows all."""
LONGEST = 60
"""Characters of one value in a ``repr``."""
MOST_FIELDS = 8


class Described:
    """Base of results: ``str``, notebooks and Markdown show the sheet that ``sheet()`` returns.

    >>> from toolchain.report import Text
    >>> class Result(Described):
    ...     def sheet(self):
    ...         return Sheet((Text(("3 spikes",)),), title="a result")
    >>> print(Result())
    a result
    3 spikes
    >>> Result().to_markdown().split()
    ['**a', 'result**', '3', 'spikes']
    >>> sorted(Result()._repr_mimebundle_())
    ['text/html', 'text/plain']
    """

    __slots__ = ()

    def sheet(self) -> Sheet:
        """Return the description of the result, as plain data."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Return the sheet as text."""
        return render(self.sheet())

    def __format__(self, spec: str) -> str:
        """Return the text in a width, as ``format`` does with text."""
        return format(str(self), spec)

    def to_markdown(self) -> str:
        """Return the sheet as Markdown."""
        return to_markdown(self.sheet())

    def to_html(self) -> str:
        """Return the sheet as HTML, one ``<div>`` without scripts, to put into a page."""
        return to_html(self.sheet())

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return what a notebook shows: the sheet as HTML and as text, long tables shortened."""
        sheet = self.sheet().shortened(MOST_ROWS)
        return {"text/plain": render(sheet, WIDTH), "text/html": to_html(sheet)}


class Brief:
    """Base of dataclasses with arrays or many fields, whose ``repr`` is one short line.

    Derive with ``@dataclass(repr=False)``.

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(repr=False)
    ... class Weights(Brief):
    ...     name: str
    ...     weight: np.ndarray
    >>> Weights("fc0", np.zeros((2, 3)))
    Weights(name='fc0', weight=float64[2, 3])
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the name of the class with its first fields, each in few characters."""
        names = [field.name for field in fields(self) if field.repr]  # type: ignore[arg-type]
        values = [f"{name}={brief(getattr(self, name))}" for name in names[:MOST_FIELDS]]
        if len(names) > MOST_FIELDS:
            values.append("...")
        return f"{type(self).__name__}({', '.join(values)})"


def brief(value: object) -> str:
    """Return ``value`` in at most about 60 characters, on one line.

    >>> import numpy as np
    >>> brief(np.zeros((2, 3))), brief("x" * 100), brief(list(range(100)))
    ('float64[2, 3]', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...", '<100 items>')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, Mapping | list | tuple | set | frozenset) and not _is_short(value):
        return f"<{len(value)} items>"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _is_short(value: Collection[Any]) -> bool:
    """Return whether ``value`` is a collection of a few numbers or texts."""
    items = [*value.items()] if isinstance(value, Mapping) else [*value]
    flat = [part for item in items for part in (item if isinstance(item, tuple) else (item,))]
    return len(flat) <= 8 and all(isinstance(each, str | int | float | None) for each in flat)

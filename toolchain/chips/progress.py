"""How far a search has come, for whoever sits before a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Step", "steps"]

Step: TypeAlias = Callable[[], None]
"""Called once for each part of the work that is done."""

_SHOWN: ContextVar[Progress | None] = ContextVar("_SHOWN", default=None)
"""What is on the terminal now: work within other work adds a bar to it."""


@contextmanager
def steps(what: str, total: int) -> Iterator[Step]:
    """A bar of ``total`` steps of ``what`` on stderr if that is a terminal; nothing elsewhere."""
    shown = _SHOWN.get()
    if shown is not None:
        task = shown.add_task(what, total=total)
        try:
            yield lambda: shown.advance(task)
        finally:
            shown.remove_task(task)
        return
    if not sys.stderr.isatty():
        yield lambda: None
        return
    # scripts that never see a terminal need not load it
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        before = _SHOWN.set(bar)
        try:
            yield lambda: bar.advance(task)
        finally:
            _SHOWN.reset(before)

"""Progress bar on stderr; silent when stderr is not a terminal."""

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
"""Function to call after each finished step."""

_SHOWN: ContextVar[Progress | None] = ContextVar("_SHOWN", default=None)
"""Progress display that is active now; nested work adds a bar to it."""


@contextmanager
def steps(what: str, total: int) -> Iterator[Step]:
    """Show a progress bar labelled ``what`` with ``total`` steps if stderr is a terminal."""
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
    # rich is slow to import and not needed without a terminal
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        before = _SHOWN.set(bar)
        try:
            yield lambda: bar.advance(task)
        finally:
            _SHOWN.reset(before)

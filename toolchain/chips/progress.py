"""How far a search has come, for whoever sits before a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

__all__ = ["Step", "steps"]

Step: TypeAlias = Callable[[], None]
"""Called once for each part of the work that is done."""


@contextmanager
def steps(what: str, total: int) -> Iterator[Step]:
    """A bar of ``total`` steps of ``what`` on stderr if that is a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    # scripts that never see a terminal need not load it
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)

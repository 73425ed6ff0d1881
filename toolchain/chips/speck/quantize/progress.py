"""A progress bar for people who wait; nothing where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

__all__ = ["progress"]


@contextmanager
def progress(what: str, steps: int) -> Iterator[Callable[[], None]]:
    """Gives a function to call after each of ``steps``; drawn on a terminal, on stderr."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=steps)
        yield lambda: bar.advance(task)

"""Progress bars: on stderr if that is a terminal, in the cell's output within a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from html import escape
from typing import Any, Protocol, TypeAlias

__all__ = ["Step", "steps"]

Step: TypeAlias = Callable[[], None]
"""Function to call after each finished step."""

DELAY = 0.3
"""Work that takes less, s, leaves nothing in a notebook."""
INTERVAL = 0.1
"""Time between two updates of a notebook's output, s."""


class _Bars(Protocol):
    """Bars of several tasks; ``rich.progress.Progress`` is one."""

    def add_task(self, what: str, /, *, total: int) -> Any:
        """Add a bar of ``total`` steps and return its key."""

    def advance(self, task: Any, /) -> None:
        """Count one step of a task."""

    def remove_task(self, task: Any, /) -> None:
        """Remove the bar of a task."""


_SHOWN: ContextVar[_Bars | None] = ContextVar("_SHOWN", default=None)
"""The bars that are shown now: work within other work adds one to them."""


@contextmanager
def steps(what: str, total: int) -> Iterator[Step]:
    """Show a bar of ``total`` steps of ``what`` while the block runs; yield what counts a step.

    Nothing is shown where stderr is neither a terminal nor a notebook's.

    >>> with steps("counting", total=2) as step:
    ...     step()
    ...     step()
    """
    shown = _SHOWN.get()
    with _open_bars() if shown is None else nullcontext(shown) as bars:
        if bars is None:
            yield lambda: None
            return
        task = bars.add_task(what, total=total)
        token = _SHOWN.set(bars)
        try:
            yield lambda: bars.advance(task)
        finally:
            _SHOWN.reset(token)
            if shown is not None:
                bars.remove_task(task)


def _open_bars() -> AbstractContextManager[_Bars | None]:
    """Return the progress bars for this output; None if it can show none."""
    display = _notebook_display()
    if display is not None:
        return _notebook_bars(display)
    try:
        seen = sys.stderr.isatty()
    except (AttributeError, ValueError):  # no standard error, or a closed one
        seen = False
    if not seen:
        return nullcontext()
    # scripts that never see a terminal need not load it
    from rich.console import Console
    from rich.progress import Progress

    # force_jupyter=False: notebooks have bars of their own, which need no widgets
    return Progress(console=Console(stderr=True, force_jupyter=False), transient=True)


# ---- notebooks ----


def _notebook_display() -> Callable[..., Any] | None:
    """Return the function that displays in the notebook of this process; None without one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    found: Callable[..., Any] = display
    return found


class _NotebookBars:
    """Bars as one output of the cell, which is updated in place; needs no widgets."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._tasks: dict[int, tuple[str, int, int]] = {}
        self._handle: Any = None
        self._started = time.monotonic()
        self._next = self._started + DELAY

    def add_task(self, what: str, *, total: int) -> int:
        """Add a bar of ``total`` steps and return its key."""
        task = max(self._tasks, default=-1) + 1
        self._tasks[task] = what, 0, total
        return task

    def advance(self, task: int) -> None:
        """Count one step of a task."""
        what, done, total = self._tasks[task]
        self._tasks[task] = what, done + 1, total
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + INTERVAL
            self._show()

    def remove_task(self, task: int) -> None:
        """Remove the bar of a task."""
        del self._tasks[task]

    def close(self) -> None:
        """Leave how much was done, and in what time, where a bar was shown."""
        if self._handle is not None:
            self._show(f", {time.monotonic() - self._started:.1f} s")

    def _show(self, suffix: str = "") -> None:
        lines = [f"{what}: {done} of {total}{suffix}" for what, done, total in self._tasks.values()]
        bars = [
            f'<div><progress value="{done}" max="{max(1, total)}"></progress> {escape(line)}</div>'
            for line, (_, done, total) in zip(lines, self._tasks.values(), strict=True)
        ]
        data = {"text/plain": "\n".join(lines), "text/html": "".join(bars)}
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


@contextmanager
def _notebook_bars(display: Callable[..., Any]) -> Iterator[_NotebookBars]:
    bars = _NotebookBars(display)
    try:
        yield bars
    finally:
        bars.close()

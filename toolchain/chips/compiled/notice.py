"""The one line that says why the first call takes long: through ``logging``, which prints it.

The logger ``toolchain.compiled`` writes to stderr as long as the program sets up no logging of its
own; ``logging.getLogger("toolchain.compiled").setLevel("ERROR")`` silences it. A progress bar that
is shown stays whole: the line appears above it.
"""

from __future__ import annotations

import logging

__all__ = ["say_compiling"]

LOGGER = logging.getLogger("toolchain.compiled")

SHORT = 0.7
"""Time that is not worth a line, s."""

_noticed: set[str] = set()


def say_compiling(title: str, seconds: float, *, once: bool) -> None:
    """Say that a function is being compiled, the first time in this process.

    Args:
        title: what is compiled; a second call with the same one says nothing.
        seconds: about how long it takes, s; less than ``SHORT`` says nothing.
        once: False if the machine code cannot be kept for the next process.
    """
    if seconds < SHORT or title in _noticed:
        return
    _noticed.add(title)
    if once:
        LOGGER.warning("toolchain: compiling %s once, about %.0f s", title, seconds)
    else:
        LOGGER.warning(
            "toolchain: compiling %s in memory, about %.0f s in every process: no folder for its "
            "machine code can be written; set NUMBA_CACHE_DIR to one that can",
            title,
            seconds,
        )

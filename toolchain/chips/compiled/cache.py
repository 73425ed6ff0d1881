"""Compilation with numba, with the machine code cached on disk.

numba invalidates its cache only if the file of the compiled function itself changes. Therefore each
file with compiled functions has a constant ``INLINED``, a digest of the other files that are
compiled into them; ``tests/chips/compiled/test_cache.py`` checks it and prints the value to write.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "compiled_bare", "inline", "inline_bare"]

F = TypeVar("F", bound=Callable[..., Any])

# numba's own types name neither ``cache`` with these options nor ``_nrt``
_njit: Any = partial(numba.njit, nogil=True, error_model="numpy")


def compiled(function: F, **options: bool) -> F:
    """Compile ``function`` and cache the machine code on disk if a cache folder is writable."""
    try:
        return cast("F", _njit(cache=True, **options)(function))
    except RuntimeError:
        # no cache folder is writable, neither the package's nor the user's: compile each time
        return cast("F", _njit(**options)(function))


def inline(function: F, **options: bool) -> F:
    """Compile ``function`` so that it is inlined into the compiled functions that call it.

    By default numba inlines late or not at all, and passes vectors through memory.
    """
    return cast("F", _njit(forceinline=True, **options)(function))


# Functions that allocate nothing need no reference counts of arrays. Counting costs more than the
# work of a small event, and threads would wait for each other to update the counts.
compiled_bare: Any = partial(compiled, _nrt=False)
inline_bare: Any = partial(inline, _nrt=False)

"""Functions as machine code that is kept on disk.

numba looks for changes in the file of the compiled function only. Therefore each file with such
functions holds a digest of the other files that are compiled into them, ``INLINED``;
``tests/chips/compiled/test_cache.py`` checks it and prints the value to write.
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
    """Compile ``function`` and keep the machine code on disk if a cache folder is writable."""
    try:
        return cast("F", _njit(cache=True, **options)(function))
    except RuntimeError:
        # neither the package's folder nor the user's takes a file: compiled anew each time
        return cast("F", _njit(**options)(function))


def inline(function: F, **options: bool) -> F:
    """Compile ``function`` into the compiled functions that call it.

    numba alone would inline it late or not at all, and pass vectors through memory.
    """
    return cast("F", _njit(forceinline=True, **options)(function))


# For functions that allocate nothing numba may leave out the counting of references to arrays: it
# costs more than the work of a small event, and threads would wait for each other's counts.
compiled_bare: Any = partial(compiled, _nrt=False)
inline_bare: Any = partial(inline, _nrt=False)

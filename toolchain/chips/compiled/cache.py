"""Functions as machine code that is kept on disk.

numba looks for changes in the file of the compiled function only. Therefore each such file holds a
digest of the files whose functions, types and options go into it, ``INLINED``; a test says when it
is out of date.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "inline"]

F = TypeVar("F", bound=Callable[..., Any])

# numba's own types name neither ``cache`` with these options nor ``_nrt``
_njit: Any = partial(numba.njit, nogil=True, error_model="numpy")


def compiled(function: F, **options: bool) -> F:
    """``function`` as machine code, kept on disk where anything may be written."""
    try:
        return cast("F", _njit(cache=True, **options)(function))
    except RuntimeError:
        # neither the package's folder nor the user's takes a file: compiled anew each time
        return cast("F", _njit(**options)(function))


def inline(function: F, **options: bool) -> F:
    """``function`` as a part of the compiled functions that call it."""
    return cast("F", _njit(forceinline=True, **options)(function))

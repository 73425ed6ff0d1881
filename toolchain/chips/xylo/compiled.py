"""Functions as machine code that is kept on disk.

numba looks for changes in the file of the compiled function only. Therefore each such file holds a
digest of the files whose functions, types and options go into it, ``INLINED``; a test says when it
is out of date.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, **inlining: bool) -> F:
    """``function`` as machine code, kept on disk where anything may be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", **inlining}
    try:
        return cast("F", numba.njit(cache=True, **options)(function))
    except RuntimeError:
        # neither the package's folder nor the user's takes a file: compiled anew each time
        return cast("F", numba.njit(**options)(function))

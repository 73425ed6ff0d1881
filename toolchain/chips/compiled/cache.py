"""Compilation with numba, with the machine code cached on disk.

numba invalidates its cache only if the file of the compiled function itself changes. Therefore each
file with compiled functions has a constant ``INLINED``, a digest of the other files that are
compiled into them; ``tests/chips/compiled/test_cache.py`` checks it and prints the value to write.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "compiled_bare", "inline", "inline_bare", "part_bare"]

F = TypeVar("F", bound=Callable[..., Any])

# numba's own types name neither ``cache`` with these options nor ``_nrt``
_njit: Any = partial(numba.njit, nogil=True, error_model="numpy")


def compiled(function: F, **options: bool) -> F:
    """Compile ``function`` and cache the machine code on disk if a cache folder is writable.

    Damaged files of the cache are replaced.
    """
    try:
        dispatcher = _njit(cache=True, **options)(function)
    except RuntimeError:
        # no cache folder is writable, neither the package's nor the user's: compile each time
        return cast("F", _njit(**options)(function))
    if all(hasattr(getattr(dispatcher, "_cache", None), name) for name in _CACHE_METHODS):
        dispatcher._cache = _SafeCache(dispatcher._cache)
    return cast("F", dispatcher)


# numba's own methods, which another release may not have: then damaged files stay its errors
_CACHE_METHODS = ("load_overload", "save_overload", "flush")


class _SafeCache:
    """numba's cache of one function, whose faults never reach the caller of the function.

    A cache only saves time. A file that a full disk or a power cut has truncated is compiled again,
    and what cannot be written is compiled again the next time.
    """

    def __init__(self, cache: Any) -> None:
        self._wrapped = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled code for a signature; None if there is none that can be read."""
        try:
            return self._wrapped.load_overload(signature, target)
        except Exception:  # what a damaged pickle raises depends on where it is damaged
            with suppress(Exception):
                self._wrapped.flush()
            return None

    def save_overload(self, signature: Any, code: Any) -> None:
        """Write the compiled code for a signature if possible."""
        with suppress(Exception):
            self._wrapped.save_overload(signature, code)


def inline(function: F, **options: bool) -> F:
    """Compile ``function`` so that it is inlined into the compiled functions that call it.

    By default numba inlines late or not at all, and passes vectors through memory.
    """
    return cast("F", _njit(forceinline=True, **options)(function))


# Functions that allocate nothing need no reference counts of arrays. Counting costs more than the
# work of a small event, and threads would wait for each other to update the counts.
compiled_bare: Any = partial(compiled, _nrt=False)
inline_bare: Any = partial(inline, _nrt=False)


def part_bare(function: F) -> F:
    """Compile ``function`` as a part of the functions that call it, neither inlined nor cached.

    It is compiled once, while what is inlined is compiled again with each function around it.
    """
    return cast("F", _njit(_nrt=False)(function))

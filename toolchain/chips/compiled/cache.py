"""Compilation with numba, with the machine code kept in files.

A file of machine code is found again as long as the file of the compiled function has the same
content. Therefore each file with compiled functions has a constant ``INLINED``, a digest of the
other files that are compiled into them; ``tests/chips/compiled/test_cache.py`` checks it and prints
the value to write.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast, overload

import numba
from numba.core.cpu import CPUTargetOptions

from toolchain.chips.compiled.code_files import FUNCTIONS, CodeFiles

__all__ = ["compiled", "compiled_bare", "inline", "inline_bare", "part_bare", "paste"]

F = TypeVar("F", bound=Callable[..., Any])

# numba's own types name neither ``_nrt`` nor how a dispatcher finds its cache
_njit: Any = partial(numba.njit, nogil=True, error_model="numpy")

# Functions that allocate nothing need no reference counts of arrays. Counting costs more than the
# work of a small event, and threads would wait for each other to update the counts. The option is
# numba's private one: a release without it gives the same results, in more time.
_BARE: dict[str, bool] = {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}

# parts are never called from Python: numba need not compile what that takes
_NO_WRAPPERS: dict[str, bool] = {
    name: True
    for name in ("no_cpython_wrapper", "no_cfunc_wrapper")
    if hasattr(CPUTargetOptions, name)
}

# a release that holds its cache elsewhere keeps its own
_DISPATCHER_HAS_CACHE = hasattr(numba.njit(lambda: None), "_cache")


@overload
def compiled(function: F, /) -> F: ...
@overload
def compiled(*, title: str = "", seconds: float = 0.0, **options: bool) -> Callable[[F], F]: ...


def compiled(
    function: F | None = None, /, *, title: str = "", seconds: float = 0.0, **options: bool
) -> F | Callable[[F], F]:
    """Compile a function on its first call, or read its machine code from a file.

    Args:
        function: the function, where the decorator has no arguments.
        title: what it is called in the line that says that it is being compiled.
        seconds: about the time to compile it, s; 0 if it is not worth that line.
        options: further options of ``numba.njit``.
    """
    if function is None:
        return lambda f: _compiled(f, title=title, seconds=seconds, **options)
    return _compiled(function, title=title, seconds=seconds, **options)


def _compiled(function: F, *, title: str, seconds: float, **options: bool) -> F:
    dispatcher = _njit(**options)(function)
    if _DISPATCHER_HAS_CACHE:
        dispatcher._cache = CodeFiles(function, title, seconds)
        FUNCTIONS.append(dispatcher._cache)
    else:
        with suppress(RuntimeError):  # no folder is writable
            dispatcher.enable_caching()
    return cast("F", dispatcher)


def inline(function: F, **options: bool) -> F:
    """Compile ``function`` so that it is inlined into the compiled functions that call it.

    By default numba inlines late or not at all, and passes vectors through memory.
    """
    return cast("F", _njit(forceinline=True, **options)(function))


def paste(function: F) -> F:
    """Make ``function`` part of the source of the compiled functions that call it.

    It is not compiled by itself, which saves time where it has one caller.
    """
    return cast("F", _njit(inline="always")(function))


compiled_bare: Any = partial(compiled, **_BARE)
inline_bare: Any = partial(inline, **_BARE)


def part_bare(function: F) -> F:
    """Compile ``function`` as a part of the functions that call it, neither inlined nor cached.

    It is compiled once, while what is inlined is compiled again with each function around it.
    """
    return cast("F", _njit(**_BARE, **_NO_WRAPPERS)(function))

"""Exchange of the names of two folders in one step, where the system can do that."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

__all__ = ["exchange"]

AT_FDCWD = -100
RENAME_EXCHANGE = 2
# EPERM: containers may block system calls that they do not know; a plain rename then shows whether
# the folder forbids it
UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}


def exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two existing folders; return False if the system cannot.

    Raises:
        OSError: a folder is missing, or the names cannot be changed; nothing was done.

    Source: Linux manual, renameat2(2).
    """
    function = renameat2()
    if function is None:
        return False
    code = function(os.fsencode(one), os.fsencode(other))
    if code in UNSUPPORTED:
        return False
    if code:
        raise OSError(code, os.strerror(code), str(one), None, str(other))
    return True


@cache
def renameat2() -> Callable[[bytes, bytes], int] | None:
    """Return a function that exchanges two names and returns an error number; None without it."""
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # another C library
        return None
    text, number = ctypes.c_char_p, ctypes.c_int
    function.argtypes = (number, text, number, text, ctypes.c_uint)

    def call(one: bytes, other: bytes) -> int:
        if function(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0:
            return 0
        return ctypes.get_errno()

    return call

"""Atomic writing of a file.

Content is written to a temporary file beside the target, flushed to disk and then renamed. The mode
is that of the replaced file, else the default of the process.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from toolchain.atomic.names import OLD_AGE, left_over, resolve, temporary_path

__all__ = ["flush_folder", "write_file", "write_new"]


def write_file(path: Path, data: bytes) -> Path:
    """Write ``data`` to ``path`` atomically, replacing an existing file; a link is kept.

    Raises:
        OSError: the folder is not writable; ``path`` is unchanged.

    >>> write_file(Path("notes.txt"), b"42").read_bytes()
    b'42'
    """
    place = resolve(path)
    fresh = temporary_path(place)
    _remove_left_overs(place)
    try:
        write_new(fresh, data)
        if place.exists():
            fresh.chmod(stat.S_IMODE(place.stat().st_mode))
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    flush_folder(place.parent)
    return path


def _remove_left_overs(place: Path) -> None:
    """Remove the temporary files of writers that were killed long ago."""
    with suppress(OSError):
        for path in left_over(place):
            if time.time() - path.lstat().st_mtime > OLD_AGE:
                path.unlink()


def write_new(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet, and flush it to disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to disk, where the system can do that.

    Raises:
        OSError: the disk cannot store them.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # files may be created in it, but not listed
        return
    try:
        os.fsync(descriptor)
    except OSError as fault:
        if fault.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF):
            raise
    finally:
        os.close(descriptor)

"""Removal of temporary folders, of this writer and of writers that were killed.

A writer locks its temporary folder; the system releases the lock when the process ends. Only files
whose names the caller lists are removed, and a folder only if it is empty then: files of other
programs stay.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

from toolchain.atomic.names import OLD_AGE

try:
    from fcntl import LOCK_EX, LOCK_NB, flock

    LOCKS = True
except ImportError:  # Windows
    LOCKS = False

__all__ = ["Kind", "abandoned", "entries", "lock", "parents", "remove", "unlock"]

BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


class Kind(StrEnum):
    """Type of an entry of a folder."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "link, pipe, socket or device"


def lock(folder: Path) -> int | None:
    """Lock a folder until ``unlock``, or until the process ends.

    Returns:
        A descriptor; None if the folder is missing, or another process has locked it; -1 where the
        system has no locks.
    """
    if not LOCKS:
        return -1
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as fault:
        return -1 if fault.errno == errno.EACCES else None
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
        if os.path.samestat(folder.stat(), os.fstat(descriptor)):
            return descriptor
    except OSError as fault:
        unlock(descriptor)
        return None if fault.errno in {*BUSY, errno.ENOENT} else -1
    except BaseException:
        unlock(descriptor)
        raise
    unlock(descriptor)
    return None


def unlock(descriptor: int) -> None:
    """Release a lock."""
    if descriptor >= 0:
        os.close(descriptor)


@contextmanager
def abandoned(folder: Path) -> Iterator[bool]:
    """Yield True if no process writes the temporary folder; none can begin until the end."""
    descriptor = lock(folder)
    if descriptor is None:
        yield False
        return
    try:
        yield descriptor >= 0 or _age(folder) > OLD_AGE
    finally:
        unlock(descriptor)


def _age(folder: Path) -> float:
    """Return the time since the last change of the folder, s; 0 if it is missing."""
    try:
        return time.time() - folder.lstat().st_ctime
    except OSError:
        return 0.0


def entries(folder: Path) -> Iterator[tuple[str, Kind]]:
    """Yield what a folder and its folders contain, by path inside it with slashes.

    A folder is listed after it was yielded.

    Raises:
        OSError: a folder cannot be listed.
    """
    pending = [""]
    while pending:
        inside = pending.pop()
        with os.scandir(folder / inside) as listing:
            found = sorted((entry.name, _kind(entry)) for entry in listing)
        for name, kind in found:
            yield f"{inside}{name}", kind
            if kind is Kind.FOLDER:
                pending.append(f"{inside}{name}/")


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_dir(follow_symlinks=False):
        return Kind.FOLDER
    return Kind.FILE if entry.is_file(follow_symlinks=False) else Kind.OTHER


def parents(names: Collection[str]) -> set[str]:
    """Return the folders inside a folder that contain its files ``names``.

    >>> sorted(parents(["a/b/c", "a/d", "e"]))
    ['a', 'a/b']
    """
    return {name[:end] for name in names for end, sign in enumerate(name) if sign == "/"}


def remove(folder: Path, names: Collection[str]) -> None:
    """Remove the files ``names``, in reverse order, and every folder that is empty then.

    Whatever cannot be removed stays, without an error.
    """
    inside = [""]
    with suppress(OSError):
        inside += [name for name, kind in entries(folder) if kind is Kind.FOLDER]
    for name in inside:
        with suppress(OSError):
            _open_for_removal(folder / name)
    for name in reversed([*names]):
        with suppress(OSError):
            (folder / name).unlink()
    for name in reversed(inside):  # a folder is listed before those in it
        with suppress(OSError):
            (folder / name).rmdir()


def _open_for_removal(folder: Path) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(mode | stat.S_IRWXU)

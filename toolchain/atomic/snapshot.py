"""Reading of a folder that other processes may replace at any moment.

The files are opened relative to a descriptor of the folder, which stays that of the same folder
when its name is given to another one. If the folder is removed while it is read, its successor is
read instead. Only regular files are opened: a pipe would block, a device has effects of its own.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from toolchain.atomic.names import restore

__all__ = ["read_folder"]

ATTEMPTS = 200
PAUSE = 1e-3
"""Pause before a folder that was replaced or is missing is read again, s."""
MISSING_ATTEMPTS = 5
"""Attempts before a missing folder is searched at its temporary paths."""

DESCRIPTORS = {os.open, os.stat} <= os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
FILE_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_folder(
    folder: Path,
    first: str,
    listed: Callable[[bytes], Iterable[str]],
    *,
    most_bytes: int,
) -> dict[str, bytes]:
    """Read files of ``folder`` that belong together, all before or all after a replacement.

    Args:
        folder: the folder, which ``write_folder`` may replace meanwhile. If it is missing because
            a writer was killed, it is restored first.
        first: name of the file that is read first.
        listed: returns the names of the other files, given the content of the first; called again
            if the folder was replaced. A name may contain slashes.
        most_bytes: limit of the size of all files together, bytes.

    Returns:
        The content by name.

    Raises:
        OSError: the folder or a file is missing, is not a regular file, or is a link; the files are
            larger than ``most_bytes``; the folder was replaced during each of many attempts.
            ``filename`` is the path.

    >>> from toolchain.atomic import write_folder
    >>> _ = write_folder(Path("run"), {"index": b"a b", "a": b"1", "b": b"2", "c": b"3"})
    >>> read_folder(Path("run"), "index", lambda text: text.decode().split(), most_bytes=99)
    {'index': b'a b', 'a': b'1', 'b': b'2'}
    """
    place = folder
    for attempt in range(ATTEMPTS):
        try:
            reader = _Reader(place, most_bytes)
        except FileNotFoundError:
            if attempt >= MISSING_ATTEMPTS:
                place = _restored(folder)
        else:
            with reader:
                try:
                    found = reader.read_all(first, listed)
                except OSError:
                    if reader.is_current():
                        raise
                else:
                    if DESCRIPTORS or reader.is_current():
                        return found
        time.sleep(PAUSE)
    raise OSError(errno.EBUSY, f"was replaced during each of {ATTEMPTS} reads", str(folder))


def _restored(folder: Path) -> Path:
    place = restore(folder)
    if place is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    return place


class _Reader:
    """Reader of regular files in the folder that ``folder`` names when the reader is created.

    Attributes:
        folder: path of the folder.
        most_bytes: limit of the size of all files together.
        budget: number of bytes that may still be read.
        at: descriptor of the folder; None where files cannot be opened relative to one.
        identity: device and number of the folder.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = self.budget = most_bytes
        self.at = os.open(folder, FOLDER_FLAGS) if DESCRIPTORS else None
        self.identity = _identity(folder.stat() if self.at is None else os.fstat(self.at))

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        if self.at is not None:
            os.close(self.at)

    def is_current(self) -> bool:
        """Return True if the path still leads to this folder."""
        try:
            return _identity(self.folder.stat()) == self.identity
        except OSError:
            return False

    def read_all(self, first: str, listed: Callable[[bytes], Iterable[str]]) -> dict[str, bytes]:
        found = {first: self.read(first)}
        for name in listed(found[first]):
            if name not in found:
                found[name] = self.read(name)
        return found

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: it is missing, not a regular file, or too large.
        """
        path = self.folder / name
        *parents, base = _parts(name, path)
        if self.at is None:
            return self._content(str(path), None, path)
        with ExitStack() as stack:
            at = self.at
            for parent in parents:
                at = _open(parent, FOLDER_FLAGS, at, path)
                stack.callback(os.close, at)
            return self._content(base, at, path)

    def _content(self, name: str, at: int | None, path: Path) -> bytes:
        # opening a device can have an effect, so its type is looked at before, too
        try:
            _check_regular(os.stat(name, dir_fd=at, follow_symlinks=False), path)
        except OSError as fault:
            raise OSError(fault.errno, fault.strerror, str(path)) from None
        with open(_open(name, FILE_FLAGS, at, path), "rb") as file:
            status = os.fstat(file.fileno())
            _check_regular(status, path)
            # a file may grow while it is read
            data = file.read(self.budget + 1) if status.st_size <= self.budget else None
        if data is None or len(data) > self.budget:
            limit = f"makes the files larger than {self.most_bytes} bytes together"
            raise OSError(errno.EFBIG, limit, str(path))
        self.budget -= len(data)
        return data


def _open(name: str, flags: int, at: int | None, path: Path) -> int:
    try:
        return os.open(name, flags | NO_LINKS, dir_fd=at)
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror, str(path)) from None


def _check_regular(status: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "is a link, need a file", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a file", str(path))


def _parts(name: str, path: Path) -> list[str]:
    """Return the parts of the name of a file inside the folder."""
    parts = name.split("/")
    valid = "\0" not in name and not {"", ".", ".."} & set(parts)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        valid = False
    if not valid or Path(name).is_absolute() or (os.sep != "/" and os.sep in name):
        raise OSError(errno.EINVAL, "is not the name of a file inside the folder", str(path))
    return parts


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino

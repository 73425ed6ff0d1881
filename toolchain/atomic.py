"""Atomic writing of files and folders.

Content is written to a temporary name in the same folder, flushed to disk and then renamed. A crash
leaves the old content or none, never a partial file. The mode is that of the replaced file or
folder, else the default of the process. A symbolic link is kept and its target is written.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_file", "write_folder"]


def write_file(path: Path, data: bytes) -> Path:
    """Write ``data`` to ``path`` atomically, replacing an existing file.

    Raises:
        OSError: the folder is not writable; ``path`` is unchanged.

    >>> write_file(Path("notes.txt"), b"42").read_bytes()
    b'42'
    """
    place = _resolve(path)
    fresh = _temporary_path(place)
    try:
        _write(fresh, data)
        _keep_mode(place, fresh)
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    return path


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder with ``files`` atomically, replacing an existing folder.

    Missing parents are created, also those of file names with a slash. The caller has to check that
    an existing folder may be replaced.

    Args:
        folder: the folder to write.
        files: content by file name.

    Raises:
        OSError: it cannot be written; an existing folder is unchanged.

    >>> folder = write_folder(Path("results"), {"log/a.txt": b"1"})
    >>> (folder / "log" / "a.txt").read_bytes()
    b'1'
    """
    place = _resolve(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = _temporary_path(place)
    fresh.mkdir()
    try:
        for name, data in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            _write(fresh / name, data)
        _keep_mode(place, fresh)
        _swap(fresh, place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _resolve(path: Path) -> Path:
    """Return ``path`` with symbolic links resolved, whether or not it exists."""
    return Path(os.path.realpath(path))


def _temporary_path(path: Path, what: str = "") -> Path:
    """Return an unused path in the same folder, thus on the same file system."""
    return path.parent / f".{path.name}{what}.{secrets.token_hex(6)}"


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _keep_mode(old: Path, fresh: Path) -> None:
    if old.exists():
        fresh.chmod(old.stat().st_mode & 0o777)


def _swap(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    old = _temporary_path(folder, ".old")
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)

"""Atomic writing of a folder.

Content is written to a temporary name in the same folder, flushed to disk and then renamed. A crash
leaves the old content or none, never a partial file. The mode is that of the replaced file or
folder, else the default of the process. A symbolic link is kept and its target is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from toolchain.atomic.file import write_new
from toolchain.atomic.names import OLD, resolve, temporary_path

__all__ = ["write_folder"]


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
    place = resolve(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = temporary_path(place)
    fresh.mkdir()
    try:
        for name, data in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            write_new(fresh / name, data)
        _keep_mode(place, fresh)
        _swap(fresh, place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _keep_mode(old: Path, fresh: Path) -> None:
    if old.exists():
        fresh.chmod(old.stat().st_mode & 0o777)


def _swap(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    old = temporary_path(folder, OLD)
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)

"""Files and folders that are written whole or not at all.

Content is written under a name of its own beside its place until it is complete and on disk; then
it is renamed. A crash leaves the old content or none, never half of the new. Modes are those that
the process gives to new files, or that of the file or folder that is replaced. A link stays a link:
what it leads to is written.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_file", "write_folder"]


def write_file(path: Path, data: bytes) -> Path:
    """Write ``data`` to ``path``, replacing the file that is there.

    Raises:
        OSError: the folder takes no file; ``path`` is as it was.
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
    """Write a folder with ``files`` by name, replacing the folder that is there.

    Parents are made, those of names with a slash too. The caller makes sure that an old folder may
    be replaced.

    Raises:
        OSError: it cannot be written; the old folder is as it was.
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
    """Return what ``path`` leads to, be it there or not."""
    return Path(os.path.realpath(path))


def _temporary_path(path: Path, what: str = "") -> Path:
    """Return a new name in the same folder, on the same file system."""
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

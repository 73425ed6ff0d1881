"""Names of temporary files and folders, which prove who wrote them.

A temporary name is ``.NAME.KIND.TOKEN``. The token ends in a digest of the rest, so that files of
other programs are never taken for one of ours. Kinds:

``tmp``
    content that is being written, or that was replaced and is being removed;
``old``
    a complete folder that was renamed, because the system cannot exchange two names. If there is
    nothing at the target, it is the content of the target.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

__all__ = ["OLD", "OLD_AGE", "TEMPORARY", "left_over", "resolve", "restore", "temporary_path"]

TEMPORARY = "tmp"
OLD = "old"

MOST_BYTES_OF_NAME = 200
"""Longer names are replaced by a digest, because a file name has at most 255 bytes."""
OLD_AGE = 86400.0
"""Age at which a temporary path counts as abandoned where no lock shows it, s."""
RANDOM_DIGITS = 12
CHECK_DIGITS = 12


def resolve(path: Path) -> Path:
    """Return ``path`` with symbolic links resolved, whether or not it exists."""
    return Path(os.path.realpath(path))


def temporary_path(path: Path, kind: str = TEMPORARY) -> Path:
    """Return an unused path in the same folder, thus on the same file system."""
    random = secrets.token_hex(RANDOM_DIGITS // 2)
    return path.with_name(f"{_prefix(path.name, kind)}{random}{_check(path.name, kind, random)}")


def left_over(path: Path) -> dict[Path, str]:
    """Return the temporary paths of ``path`` that exist, with their kinds.

    Raises:
        OSError: the folder that contains ``path`` cannot be listed.
    """
    found = {}
    with os.scandir(path.parent) as listing:
        names = [entry.name for entry in listing if entry.name.startswith(".")]
    for kind in (TEMPORARY, OLD):
        prefix = _prefix(path.name, kind)
        for name in names:
            if name.startswith(prefix):
                random = name[len(prefix) : -CHECK_DIGITS]
                if name == f"{prefix}{random}{_check(path.name, kind, random)}":
                    found[path.with_name(name)] = kind
    return found


def restore(folder: Path) -> Path | None:
    """Return the path at which the content of ``folder`` is; None if it is missing.

    A writer that was killed between two renames has left it at a temporary path. It is renamed to
    ``folder`` if possible, else the temporary path is returned, as in a read-only place.
    """
    place = resolve(folder)
    if os.path.lexists(place):
        return folder
    try:
        found = {
            path: path.lstat().st_ctime_ns for path, kind in left_over(place).items() if kind == OLD
        }
    except OSError:
        return None
    if not found:
        return None
    newest = max(found, key=lambda path: found[path])
    try:
        # fails if another process has written the target: a folder with files is never replaced
        newest.rename(place)
    except OSError:
        return folder if os.path.lexists(place) else newest
    return folder


def _prefix(name: str, kind: str) -> str:
    raw = os.fsencode(name)
    stem = name if len(raw) <= MOST_BYTES_OF_NAME else hashlib.sha256(raw).hexdigest()
    return f".{stem}.{kind}."


def _check(name: str, kind: str, random: str) -> str:
    text = f"snn-toolchain/{kind}/{random}/".encode() + os.fsencode(name)
    return hashlib.sha256(text).hexdigest()[:CHECK_DIGITS]

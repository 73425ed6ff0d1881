"""Check of the path of an archive, as the user gives it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from toolchain.diagnostics import ArtifactError
from toolchain.report import brief, visible

__all__ = ["archive_path"]


def archive_path(folder: str | os.PathLike[str]) -> Path:
    """Return the absolute path of ``folder``, with ``~`` as the home of the user; links are kept.

    Raises:
        ArtifactError: neither a text nor a path, an empty text, or one that cannot name a folder.

    >>> archive_path("out").name
    'out'
    """
    path: Any = os.fspath(folder) if isinstance(folder, os.PathLike) else folder
    if not isinstance(path, str) or not path:
        raise ArtifactError(f"need the path of a folder, as str or os.PathLike, got {brief(path)}")
    shown = visible(path, one_line=True)
    if "\0" in path:
        raise ArtifactError(f"{shown}: a path cannot contain a zero character")
    try:
        os.fsencode(path)
        return Path(path).expanduser().absolute()
    except UnicodeEncodeError:
        raise ArtifactError(f"{shown}: the file system cannot encode this name") from None
    except (RuntimeError, OSError) as fault:  # no such user; no current folder
        reason = fault.strerror if isinstance(fault, OSError) else fault
        raise ArtifactError(f"{shown}: {reason}; give an absolute path") from None

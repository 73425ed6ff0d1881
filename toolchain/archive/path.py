"""Check of the path of an archive, as the user gives it."""

from __future__ import annotations

import os
from pathlib import Path

from toolchain.diagnostics import ArtifactError
from toolchain.report import visible

__all__ = ["archive_path"]


def archive_path(folder: str | os.PathLike[str]) -> Path:
    """Return the absolute path of ``folder``, with ``~`` as the home of the user; links are kept.

    Raises:
        TypeError: neither a text nor a path.
        ArtifactError: an empty text, or one that no file can have as its name.

    >>> archive_path("out").name
    'out'
    """
    path = os.fspath(folder) if isinstance(folder, os.PathLike) else folder
    if not isinstance(path, str):
        raise TypeError(f"folder is of type {type(folder).__name__}, need a str or an os.PathLike")
    if not path.strip():
        raise ArtifactError(
            f"folder is {path!r}, need the path of a folder; '.' is the current one"
        )
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

"""Check of the path of an archive, as the user gives it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from toolchain.diagnostics import ArtifactError
from toolchain.report import brief, visible

__all__ = ["archive_path"]

ABSOLUTE = "give an absolute path"


def archive_path(folder: str | os.PathLike[str]) -> Path:
    """Return the absolute path of ``folder``, with ``~`` as the home of the user.

    Links are kept, unless the path contains ``..``.

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
        found = Path(path).expanduser().absolute()
    except UnicodeEncodeError:
        raise ArtifactError(f"{shown}: the file system cannot encode this name") from None
    except RuntimeError:
        raise ArtifactError(f"{shown}: this user has no home folder; {ABSOLUTE}") from None
    except OSError as fault:
        raise ArtifactError(f"{shown}: current folder: {fault.strerror}; {ABSOLUTE}") from None
    # the system finds nothing behind a missing folder and ".."
    return Path(os.path.realpath(found)) if ".." in found.parts else found

"""Writing of an archive; nothing but an archive is ever replaced."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from toolchain.archive.json_text import as_json, from_json
from toolchain.archive.path import archive_path
from toolchain.archive.read import FORMAT, KIND, MANIFEST, MOST_BYTES
from toolchain.atomic import read_folder, write_folder
from toolchain.diagnostics import ArtifactError
from toolchain.report import visible

__all__ = ["write_archive"]

NUMBER = re.compile(re.escape(KIND) + r"([0-9]{1,9})")
OTHER = "choose another folder"
ACTIONS = {
    errno.EBUSY: "choose a folder inside it if it is a mount point",
    errno.EACCES: "choose a folder that you may write",
    errno.EPERM: "choose a folder that you may write",
    errno.EROFS: "choose a folder that you may write",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
}
"""What to do about an error of the system; else ``OTHER``."""


def write_archive(
    folder: str | os.PathLike[str],
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    *,
    replaces: Callable[[Collection[str]], bool] = lambda names: True,
) -> Path:
    """Write ``files`` and their manifest to ``folder``; an existing archive is replaced.

    Args:
        folder: destination: missing, empty, or an archive with nothing else in it. Missing parents
            are created, ``~`` is the home of the user, and links are followed.
        files: content by file name.
        manifest: entries of the manifest besides format and hashes.
        replaces: whether an archive with files of these names may be replaced; any, by default.

    Returns:
        The absolute path of the folder.

    Raises:
        ArtifactError: ``folder`` contains anything but an archive, or one of a newer format or of
            something else, or cannot be written; it is not changed.

    >>> write_archive("saved", {"weights": b"1"}, {}).name
    'saved'
    """
    path = archive_path(folder)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    text = as_json({"format": FORMAT, **manifest, "sha256": hashes})
    shown = visible(str(path), one_line=True)
    need = sum(map(len, files.values())) + len(text)
    if need > MOST_BYTES:
        raise ArtifactError(f"{shown}: needs {need} bytes, an archive has at most {MOST_BYTES}")
    try:
        # the manifest first: with it, the rest of a writer that was killed is known as such
        return write_folder(
            path, {MANIFEST: text, **files}, partial(_replaceable, replaces=replaces)
        )
    except FileExistsError as fault:
        raise _not_ours(shown, str(fault.strerror)) from None
    except OSError as fault:
        raise ArtifactError(f"{shown}: cannot be written: {_reason(path, fault)}") from None


def _replaceable(folder: Path, *, replaces: Callable[[Collection[str]], bool]) -> Collection[str]:
    """Return the names of the files of an archive, the manifest first.

    Other programs write a ``manifest.json`` too, so its format is checked.

    Raises:
        FileExistsError: ``folder`` is not an archive.
        ArtifactError: it is one of a newer format.
    """
    try:
        data = read_folder(folder, MANIFEST, lambda _: (), most_bytes=MOST_BYTES)[MANIFEST]
        manifest = from_json(data)
    except FileNotFoundError:
        raise FileExistsError(
            errno.EEXIST, f"is no saved deployment, it has no {MANIFEST}", str(folder)
        ) from None
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else fault
        raise FileExistsError(errno.EEXIST, f"{MANIFEST} {reason}", str(folder)) from None
    found, hashes = str(manifest.get("format")), manifest.get("sha256")
    number = NUMBER.fullmatch(found)
    if number is None or not isinstance(hashes, dict):
        text = f"{MANIFEST} is not one of a saved deployment"
        raise FileExistsError(errno.EEXIST, text, str(folder))
    if int(number[1]) > int(FORMAT.removeprefix(KIND)):
        raise ArtifactError(
            f"{visible(str(folder), one_line=True)} is a saved deployment of format {found}, "
            f"written by {_writer(manifest)}; this release writes {FORMAT}; nothing was written. "
            f"Update snn-toolchain, or {OTHER}"
        )
    if not replaces(hashes):
        text = f"it is a saved archive of something else, with {', '.join(sorted(hashes)[:3])}"
        raise FileExistsError(errno.EEXIST, text, str(folder))
    return dict.fromkeys((MANIFEST, *hashes))


def _writer(manifest: Mapping[str, Any]) -> str:
    versions = manifest.get("made_with")
    version = versions.get("snn-toolchain") if isinstance(versions, dict) else None
    if not isinstance(version, str):
        return "a newer release of snn-toolchain"
    return f"snn-toolchain {visible(version, one_line=True):.40}"


def _not_ours(shown: str, reason: str) -> ArtifactError:
    reason = visible(reason, one_line=True)
    return ArtifactError(f"{shown} is not replaced, nothing was written: {reason}; {OTHER}")


def _reason(folder: Path, fault: OSError) -> str:
    """Return the reason of an error of the system, and what to do."""
    if isinstance(fault, NotADirectoryError) and folder.is_file():
        return f"is a file, need a folder; {OTHER}"
    return f"{fault.strerror or fault}; {ACTIONS.get(fault.errno or 0, OTHER)}"

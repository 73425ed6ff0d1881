"""Recognition of file kinds by the first bytes, never by the name.

Before a file is read, its type, size and first bytes are checked. Files of an unsupported kind are
refused with the name of that kind and what to do instead.
"""

from __future__ import annotations

import enum
import io
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

from toolchain.atomic.names import restore
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.files.foreign import ARCHIVES, folder_refusal, refusal
from toolchain.report import count, visible

__all__ = ["MAX_BYTES", "Content", "FileKind", "identify"]

MAX_BYTES = 128 * 2**20
"""Largest file that is read into memory: 32 million float32 weights, more than any chip holds."""
_HEAD = 512


class FileKind(enum.Enum):
    """Kinds of files that can be read."""

    NIR = "a NIR file"
    JSON = "a JSON file"
    SAFETENSORS = "a safetensors file"
    TORCH = "a file of torch.save"
    TORCH_LEGACY = "a file of torch.save from before torch 1.6"
    DEPLOYMENT = "a saved deployment"


@dataclass(frozen=True, slots=True)
class Content:
    """A readable file: its path, kind and bytes.

    NIR files and folders are read from their path; their ``data`` is empty.
    """

    path: Path
    kind: FileKind
    data: bytes = b""


def identify(path: Path) -> Content:
    """Identify the file at ``path``.

    Raises:
        ModelFileError: the file is missing, not a regular file, too large, or of an unsupported
            kind.
    """
    try:
        path = restore(path) or path
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path)
        if not stat.S_ISREG(mode):
            raise ModelFileError(f"{_shown(path)}: is not a regular file")
        with path.open("rb") as file:
            head = file.read(_HEAD)
            kind = _kind(path, head)
            if kind is FileKind.NIR:
                return Content(path, kind)
            # reads one byte more than allowed, since the size in the directory may be wrong
            data = head + file.read(MAX_BYTES + 1 - len(head))
    except (OSError, ValueError) as fault:
        if isinstance(fault, ModelFileError):
            raise
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise ModelFileError(f"{_shown(path)}: {reason}") from None
    if len(data) > MAX_BYTES:
        raise ModelFileError(
            f"{_shown(path)}: is larger than the limit of {count(MAX_BYTES)} bytes; if it contains "
            "optimizer states, save only the weights"
        )
    return Content(path, kind or _zip_kind(path, data), data)


def _shown(path: Path) -> str:
    return visible(str(path), one_line=True)


def _folder(path: Path) -> Content:
    if (path / "manifest.json").is_file():
        return Content(path, FileKind.DEPLOYMENT)
    raise ModelFileError(f"{_shown(path)}: {folder_refusal(path)}")


# ---- by first bytes ----

_ZIP = b"PK\x03\x04"
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"


def _kind(path: Path, head: bytes) -> FileKind | None:
    """Return the kind of file from its first bytes; None for a zip archive.

    Raises:
        ModelFileError: an unsupported kind.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    known: tuple[tuple[bool, FileKind | None], ...] = (
        (head.startswith(b"\x89HDF\r\n\x1a\n"), FileKind.NIR),
        (head.startswith(_LEGACY), FileKind.TORCH_LEGACY),
        (head.startswith(_ZIP), None),
        # eight bytes of length, the upper four 0 for every file within the limit, then JSON
        (head[4:9] == b"\0\0\0\0{", FileKind.SAFETENSORS),
        (text.startswith(b"{"), FileKind.JSON),
    )
    for found, kind in known:
        if found:
            return kind
    raise ModelFileError(f"{_shown(path)}: {refusal(head, text, path.suffix)}")


# ---- zip archives ----


def _zip_kind(path: Path, data: bytes) -> FileKind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as fault:
        raise ModelFileError(f"{_shown(path)}: is a damaged zip archive: {fault}") from None
    for matches, what in ARCHIVES:
        if matches(names):
            if what is None:
                return FileKind.TORCH
            raise ModelFileError(f"{_shown(path)}: is {what(names) if callable(what) else what}")
    raise ModelFileError(f"{_shown(path)}: is a zip archive without a model of torch.save")

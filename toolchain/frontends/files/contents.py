"""Recognition of file kinds by the first bytes, never by the name.

Before a file is read, its type, size and first bytes are checked. Files of an unsupported kind are
refused with the name of that kind and what to do instead.
"""

from __future__ import annotations

import enum
import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from toolchain.atomic.names import restore
from toolchain.diagnostics import ModelFileError
from toolchain.report import count

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
    path = restore(path) or path
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path)
        if not stat.S_ISREG(mode):
            raise ModelFileError(f"{path}: is not a regular file")
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
        raise ModelFileError(f"{path}: {reason}") from None
    if len(data) > MAX_BYTES:
        raise ModelFileError(
            f"{path}: is larger than the limit of {count(MAX_BYTES)} bytes; if it contains "
            "optimizer states, save only the weights"
        )
    return Content(path, kind or _zip_kind(path, data), data)


def _folder(path: Path) -> Content:
    if (path / "manifest.json").is_file():
        return Content(path, FileKind.DEPLOYMENT)
    raise ModelFileError(
        f"{path}: is a folder but not a saved deployment (no manifest.json); pass the network "
        "file in it"
    )


# ---- by first bytes ----

_ZIP = b"PK\x03\x04"
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
_SAVE = "save it with torch.save(model.state_dict(), ...) or as safetensors"
_UNPACK = "unpack it first"
_REFUSED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x93NUMPY", f"one numpy array, which does not describe a network; {_SAVE}"),
    (0, b"version https://git-lfs", "a Git LFS pointer; fetch the file: git lfs pull"),
    (0, b"\x1f\x8b", f"compressed with gzip; {_UNPACK}"),
    (0, b"BZh", f"compressed with bzip2; {_UNPACK}"),
    (0, b"\xfd7zXZ\x00", f"compressed with xz; {_UNPACK}"),
    (0, b"(\xb5/\xfd", f"compressed with zstd; {_UNPACK}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (257, b"ustar", f"a tar archive; {_UNPACK}, and if torch before 0.1.10 wrote it, {_SAVE}"),
    (4, b"TFL3", "a TensorFlow Lite model, which contains no spiking neurons"),
    (0, b"GGUF", "a GGUF model, which contains no spiking neurons"),
    (0, b"\x89PNG", "an image (PNG)"),
    (0, b"\xff\xd8\xff", "an image (JPEG)"),
    (0, b"GIF8", "an image (GIF)"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x7fELF", "an executable"),
    (0, b"MZ", "an executable"),
)
_ONNX = (
    "an ONNX model, which contains no stateful spiking neurons; pass the torch module itself, or "
    "export it to NIR"
)
_PICKLE = (
    f"a plain pickle, which can run code when it is loaded; {_SAVE}, and load it with factory= and "
    "sample="
)
_PAGE = "a web page; the download may have failed"


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
    raise ModelFileError(f"{path}: {_refusal(head, text)}")


def _refusal(head: bytes, text: bytes) -> str:
    if not head:
        return "is empty"
    for offset, signature, what in _REFUSED:
        if head.startswith(signature, offset):
            return f"is {what}"
    if not text:
        return "contains only white space"
    if text[:9].lower().startswith((b"<!doctype", b"<html")):
        return f"is {_PAGE}"
    if head[0] == 0x80 and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 1:
        return f"is {_PICKLE}"
    if head[0] == 0x08 and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):
        return f"is {_ONNX}"
    return _unknown(head, text)


def _unknown(head: bytes, text: bytes) -> str:
    known = (
        "supported are NIR, rockpool's JSON, safetensors, files of torch.save, saved deployments"
    )
    if b"\0" not in head and all(byte >= 0x20 or byte in b"\t\n\f\r" for byte in head):
        first = text.splitlines()[0][:40].decode("utf-8", "replace")
        return f"is text starting with {json.dumps(first)}, not a model; {known}"
    return f"has an unknown format (starts with {head[:8].hex(' ')}); {known}"


# ---- zip archives ----


def _zip_kind(path: Path, data: bytes) -> FileKind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as fault:
        raise ModelFileError(f"{path}: is a damaged zip archive: {fault}") from None
    for matches, what in _ARCHIVES:
        if matches(names):
            if what is None:
                return FileKind.TORCH
            raise ModelFileError(f"{path}: is {what}")
    raise ModelFileError(f"{path}: is a zip archive without a model of torch.save")


def _any_ends_with(*suffixes: str) -> Callable[[Iterable[str]], bool]:
    return lambda names: any(name.endswith(suffixes) for name in names)


def _has_folder(folder: str) -> Callable[[Iterable[str]], bool]:
    return lambda names: any(folder in f"/{name}" for name in names)


_SCRIPT = (
    "a TorchScript archive, which has no layers to read; pass the original module, or save its "
    "weights with torch.save(model.state_dict(), ...) and load them with factory= and sample="
)
_EXPORTED = (
    "a program of torch.export, which has no layers to read; pass the original module, or save "
    "its weights with torch.save(model.state_dict(), ...) and load them with factory= and sample="
)
_ARCHIVES: tuple[tuple[Callable[[Iterable[str]], bool], str | None], ...] = (
    (_any_ends_with("/constants.pkl"), _SCRIPT),
    (_has_folder("/code/"), _SCRIPT),
    (_any_ends_with("archive_format", "serialized_exported_program.json"), _EXPORTED),
    (_any_ends_with("/data.pkl"), None),
    (_any_ends_with("model.weights.h5"), "a Keras model, which contains no spiking neurons"),
    (
        _any_ends_with(".npy"),
        f"an archive of numpy arrays, which do not describe a network; {_SAVE}",
    ),
    (_any_ends_with("[Content_Types].xml"), "an office document"),
)
"""Kinds of archives, by the name of an entry; None for the supported one."""

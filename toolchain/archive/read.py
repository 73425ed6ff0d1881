"""Reading of an archive, whose files are all read and checked at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolchain.archive.json_text import as_json, from_json
from toolchain.arrays import Array
from toolchain.atomic import read_folder
from toolchain.diagnostics import ArtifactError, PluginError
from toolchain.report import brief, visible

__all__ = ["RESTORE", "Archive", "is_part", "packed_files", "tensors"]

KIND = "snn-deployment/"
FORMAT = KIND + "3"
"""Format that this version writes."""
READABLE = {KIND + "2": 2, FORMAT: 3}
"""Formats that this version reads, and their numbers."""
FORMER = (KIND + "1",)
"""Former formats, which lack the ledger and cannot be read."""
MANIFEST = "manifest.json"
MOST_BYTES = 64 * 2**20
"""Size limit of all files together, bytes."""
MOST_FILES = 1000
MOST_HEADER = 2**20
"""Size limit of the list of arrays in a safetensors file, bytes."""
TYPES = {"BOOL", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "F16", "F32", "F64"}
"""Element types of arrays that numpy has too."""
MOST_TEXT = 1000
"""Longest reason in an error: libraries quote the data, as long as it is."""
RESTORE = "restore the folder from a copy, or deploy the network again"

T = TypeVar("T")


def packed_files(
    part: str, arrays: Mapping[str, Array], data: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return two files with arrays and JSON-compatible data, for ``Archive.unpacked``.

    >>> sorted(packed_files("net", {"weight": np.eye(2)}, {}))
    ['net.json', 'net.safetensors']
    """
    from safetensors.numpy import save as to_bytes

    # safetensors stores raw memory and loses strides
    flat = {name: np.ascontiguousarray(array).reshape(-1) for name, array in arrays.items()}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return {
        f"{part}.safetensors": to_bytes(flat),
        f"{part}.json": as_json({"shapes": shapes, "data": data}),
    }


class Archive:
    """Files of an archive, all read and compared with their hashes when it is created.

    Attributes:
        folder: folder of the archive.
        manifest: content of the manifest.
        format: number of its format.
        names: names of the files besides the manifest.

    Raises:
        ArtifactError: the manifest is missing, damaged or of another format; a file is missing, too
            large, no regular file, or differs from the one that was saved.

    >>> from toolchain.archive import write_archive
    >>> Archive(write_archive("saved", {"weights": b"1"}, {})).read("weights")
    b'1'
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = {}
        self.format = 0
        try:
            found = read_folder(folder, MANIFEST, self._listed, most_bytes=MOST_BYTES)
        except OSError as fault:
            path = folder if fault.filename is None else fault.filename
            text = f"{path}: {_reason(fault)}"
            raise ArtifactError(visible(text, one_line=True)) from None
        del found[MANIFEST]
        self._files = found
        for name, data in found.items():
            if _hash(data) != self.manifest["sha256"][name]:
                raise self.error(
                    name, f"is not the file that was saved: its hash differs; {RESTORE}"
                )

    def _listed(self, data: bytes) -> Iterable[str]:
        """Check the manifest, and return the names that it lists."""
        try:
            self.manifest = from_json(data)
        except ValueError as fault:
            raise self.error(MANIFEST, f"{fault}; {RESTORE}") from None
        found = self.manifest.get("format")
        if not isinstance(found, str) or found not in READABLE:
            action = f"; {_action(found)}"
            raise self.error("", f"format is {found!r:.60}, need {FORMAT!r}{action}")
        self.format = READABLE[found]
        hashes = self.manifest.get("sha256")
        if not isinstance(hashes, dict) or len(hashes) > MOST_FILES:
            raise self.error(MANIFEST, f"sha256 must list the files with their hashes; {RESTORE}")
        if MANIFEST in hashes:
            raise self.error(MANIFEST, f"lists itself; {RESTORE}")
        return hashes

    @property
    def names(self) -> frozenset[str]:
        """Names of the files besides the manifest."""
        return frozenset(self._files)

    def read(self, name: str) -> bytes:
        """Return the content of a file; ArtifactError if the manifest does not list it."""
        if name not in self._files:
            raise self.error(name, f"No such file in the manifest; {RESTORE}")
        return self._files[name]

    def json(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file, an object."""
        return self.build(name, lambda: from_json(self.read(name)))

    def unpacked(self, part: str) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return arrays and data from the two files of ``packed_files``."""
        rest = self.json(f"{part}.json")
        return self.build(part, lambda: _unpacked(self.read(f"{part}.safetensors"), rest))

    def build(self, part: str, make: Callable[[], T]) -> T:
        """Return ``make()``; its errors become an ArtifactError that names folder and part."""
        try:
            with np.errstate(all="ignore"):
                return make()
        except (ArtifactError, PluginError):
            raise
        except Exception as fault:  # data from a file, which families of others read too
            raise self.error(part, f"{_text(fault):.{MOST_TEXT}}; {RESTORE}") from None

    def error(self, part: str, text: str) -> ArtifactError:
        """Return the error about a part of the archive."""
        where = f"{self.folder}: {part}" if part else f"{self.folder}"
        return ArtifactError(visible(f"{where}: {text}", one_line=True))


def is_part(path: Path) -> bool:
    """Return whether ``path`` is a file of an archive: its manifest, or one that this lists.

    Other programs write a ``manifest.json`` too, so its format is checked.

    >>> from toolchain.archive import write_archive
    >>> folder = write_archive("saved", {"weights": b"1"}, {})
    >>> is_part(folder / "weights"), is_part(folder / "mine.json")
    (True, False)
    """
    manifest = path.with_name(MANIFEST)
    try:
        if not manifest.is_file():
            return False
        with manifest.open("rb") as file:
            found = from_json(file.read(MOST_HEADER))
    except (OSError, ValueError):
        return False
    kind, listed = found.get("format"), found.get("sha256")
    if not isinstance(kind, str) or not kind.startswith(KIND) or not isinstance(listed, dict):
        return False
    return path.name == MANIFEST or path.name in listed


def _action(found: Any) -> str:
    """Return what to do about another format."""
    if found in FORMER:
        return "deploy the network again"
    if isinstance(found, str) and found.startswith(KIND):
        return "load it with the release that wrote it, see made_with in manifest.json"
    return "this is no folder of Deployment.save"


def _unpacked(data: bytes, rest: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, Any]]:
    flat, shapes = tensors(data), rest["shapes"]
    if not isinstance(shapes, dict) or shapes.keys() != flat.keys():
        raise ValueError("its arrays are not those that its shapes list")
    return {name: _shaped(flat[name], name, shapes[name]) for name in flat}, rest["data"]


def tensors(data: bytes) -> dict[str, Array]:
    """Return the arrays of a safetensors file; ValueError if it is damaged.

    >>> tensors(packed_files("net", {"weight": np.eye(2)}, {})["net.safetensors"])
    {'weight': array([1., 0., 0., 1.])}
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    _check_header(data)
    try:
        return from_bytes(data)
    except SafetensorError as fault:
        raise ValueError(str(fault)) from None


def _check_header(data: bytes) -> None:
    """Check the list of arrays of a safetensors file, which its library reads without limits."""
    size = int.from_bytes(data[:8], "little")
    if size > min(MOST_HEADER, len(data)):
        raise ValueError(f"its list of arrays has {size} bytes")
    arrays = from_json(data[8 : 8 + size])
    for name, array in arrays.items():
        if name != "__metadata__" and array["dtype"] not in TYPES:
            raise ValueError(f"array {name!r:.60} is of type {array['dtype']!r:.20}")


def _shaped(flat: Array, name: str, shape: Any) -> Array:
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"shape of {name!r:.60} is {brief(shape)}")
    return flat.reshape(shape)


def _text(fault: Exception) -> str:
    """Return the text of an error about damaged data."""
    text = f"{fault}"
    if isinstance(fault, KeyError):
        return f"lacks {text}"
    return text if isinstance(fault, ValueError) and text else f"{type(fault).__name__}: {text}"


def _reason(fault: OSError) -> str:
    """Return the reason of an error of the system, and what is needed."""
    text = fault.strerror or str(fault)
    if isinstance(fault, FileNotFoundError | NotADirectoryError):
        return f"{text}; need a folder that Deployment.save wrote"
    return text


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

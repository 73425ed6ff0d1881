"""Archive format: a folder of files with their hashes, written atomically.

``manifest.json`` contains the format, further entries of its writer, and the SHA-256 of every other
file. Nothing is pickled, and only files that the manifest lists with their hash are read. Arrays
are stored as safetensors, with a JSON file for their shapes and other data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolchain.arrays import Array
from toolchain.atomic import write_folder
from toolchain.diagnostics import ArtifactError

__all__ = ["Archive", "as_json", "packed_files", "write_archive"]

KIND = "snn-deployment/"
FORMAT = KIND + "2"
"""Format that this version writes and reads."""
FORMER = (KIND + "1",)
"""Former formats, which lack the ledger and cannot be read."""
MANIFEST = "manifest.json"
MOST_BYTES = 512 * 2**20
"""Size limit of a file, bytes."""

T = TypeVar("T")


def write_archive(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Path:
    """Write ``files`` and their manifest to ``folder``; an existing archive is replaced.

    Args:
        folder: destination; missing parents are created.
        files: content by file name.
        manifest: entries of the manifest besides format and hashes.

    Raises:
        ArtifactError: ``folder`` exists and contains anything but an archive; it is not changed.
    """
    folder = folder.absolute()
    if folder.exists() and not _replaceable(folder):
        raise ArtifactError(f"{folder} exists and is not a saved deployment; nothing was written")
    hashes = {name: _hash(data) for name, data in files.items()}
    text = as_json({"format": FORMAT, **manifest, "sha256": hashes})
    return write_folder(folder, {**files, MANIFEST: text})


def _replaceable(folder: Path) -> bool:
    """Return True if ``folder`` contains an archive and nothing else.

    Other programs write a ``manifest.json`` too, so its format is checked. Any further file in the
    folder would be lost when the folder is replaced.
    """
    try:
        manifest = _json(_bytes(folder, MANIFEST), MANIFEST)
    except ArtifactError:
        return False
    hashes = manifest.get("sha256")
    if not str(manifest.get("format")).startswith(KIND) or not isinstance(hashes, dict):
        return False
    files = {folder / name for name in (MANIFEST, *hashes)}
    folders = {parent for file in files for parent in file.parents}
    return all(
        path in (folders if path.is_dir() and not path.is_symlink() else files)
        for path in folder.rglob("*")
    )


def packed_files(
    part: str, arrays: Mapping[str, Array], data: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return two files with arrays and JSON-compatible data, for ``Archive.unpacked``."""
    from safetensors.numpy import save as to_bytes

    # safetensors stores raw memory and loses strides
    flat = {name: np.ascontiguousarray(array).reshape(-1) for name, array in arrays.items()}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return {
        f"{part}.safetensors": to_bytes(flat),
        f"{part}.json": as_json({"shapes": shapes, "data": data}),
    }


def as_json(data: Any) -> bytes:
    """Return data as JSON with sorted keys; equal data gives equal bytes.

    >>> print(as_json({"steps": 10, "dt": 0.001}).decode())
    {
     "dt": 0.001,
     "steps": 10
    }
    """
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False).encode()


class Archive:
    """Reader of an archive; each file is compared with its hash when it is read.

    Attributes:
        folder: folder of the archive.
        manifest: content of the manifest.

    Raises:
        ArtifactError: the manifest is missing, damaged or of another format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _json(_bytes(folder, MANIFEST), MANIFEST)
        found = self.manifest.get("format")
        if found != FORMAT:
            action = "; deploy the network again" if found in FORMER else ""
            raise ArtifactError(f"{folder}: format is {found!r}, need {FORMAT!r}{action}")

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            ArtifactError: the file is missing, or differs from the one that was saved.
        """
        data = _bytes(self.folder, name)
        hashes = self.manifest.get("sha256")
        wanted = hashes.get(name) if isinstance(hashes, dict) else None
        if _hash(data) != wanted:
            raise ArtifactError(
                f"{self.folder / name} is not the file that was saved: its hash differs"
            )
        return data

    def json(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file, a dictionary."""
        return _json(self.read(name), name)

    def unpacked(self, part: str) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return arrays and data from the two files of ``packed_files``."""
        from safetensors import SafetensorError
        from safetensors.numpy import load as from_bytes

        rest = self.json(f"{part}.json")
        try:
            flat = from_bytes(self.read(f"{part}.safetensors"))
            shapes = {name: tuple(rest["shapes"][name]) for name in flat}
            return {name: flat[name].reshape(shapes[name]) for name in flat}, rest["data"]
        except (SafetensorError, KeyError, TypeError, ValueError) as fault:
            raise ArtifactError(f"{part}: {fault}") from None

    def build(self, part: str, make: Callable[[], T]) -> T:
        """Return ``make()``; its errors become an ArtifactError that names folder and part."""
        try:
            return make()
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise ArtifactError(f"{self.folder}: {part}: {fault}") from None


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.exists() and not path.is_file():  # opening a pipe would block
            raise ArtifactError(f"{path}: is not a file")
        if path.stat().st_size > MOST_BYTES:
            raise ArtifactError(f"{path} is larger than {MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as fault:
        raise ArtifactError(f"{path}: {fault.strerror}") from None


def _json(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise ArtifactError(f"{name}: {fault}") from None
    if not isinstance(found, dict):
        raise ArtifactError(f"{name}: is not a JSON object")
    return found

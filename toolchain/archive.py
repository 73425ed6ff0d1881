"""An archive: a folder of files, each with its hash, written whole or not at all.

``manifest.json`` holds the format, whatever its writer adds, and the SHA-256 of every other file.
Nothing is pickled, and nothing is read that the manifest does not name with its hash. Arrays are
kept as safetensors beside a JSON file with their shapes and the rest of the data.
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
"""What is written and read."""
FORMER = (KIND + "1",)
"""Formats without a ledger, which cannot be made up for."""
MANIFEST = "manifest.json"
MOST_BYTES = 512 * 2**20
"""Largest file that is read."""

T = TypeVar("T")


def write_archive(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Path:
    """Write ``files`` and their manifest to ``folder``; an older archive is replaced.

    Args:
        folder: where to; parents are made.
        files: content by name.
        manifest: what the manifest says beside the format and the hashes.

    Raises:
        ArtifactError: ``folder`` exists and holds anything else; it is left alone.
    """
    folder = folder.absolute()
    if folder.exists() and not _replaceable(folder):
        raise ArtifactError(f"{folder} exists and is no saved deployment; it is left alone")
    hashes = {name: _hash(data) for name, data in files.items()}
    text = as_json({"format": FORMAT, **manifest, "sha256": hashes})
    return write_folder(folder, {**files, MANIFEST: text})


def _replaceable(folder: Path) -> bool:
    """Whether ``folder`` holds an archive and nothing else.

    Other programs have a ``manifest.json`` too, so its format decides; what else lies in the
    folder, or in a folder named as one of its files, would be lost when the folder is replaced.
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
    """Return the two files of arrays and JSON-able data, for ``Archive.unpacked``."""
    from safetensors.numpy import save as to_bytes

    # safetensors stores the memory as it lies: strides are not kept
    flat = {name: np.ascontiguousarray(array).reshape(-1) for name, array in arrays.items()}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return {
        f"{part}.safetensors": to_bytes(flat),
        f"{part}.json": as_json({"shapes": shapes, "data": data}),
    }


def as_json(data: Any) -> bytes:
    """Return plain data as JSON with sorted keys; the same data gives the same bytes."""
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False).encode()


class Archive:
    """An archive that is read; every file is checked against its hash when it is asked for.

    Attributes:
        folder: where it is.
        manifest: data of its manifest.

    Raises:
        ArtifactError: no folder with a manifest, one that is damaged, or of another format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _json(_bytes(folder, MANIFEST), MANIFEST)
        found = self.manifest.get("format")
        if found != FORMAT:
            again = "; deploy the network again" if found in FORMER else ""
            raise ArtifactError(f"{folder}: format {found!r}, this reads {FORMAT!r}{again}")

    def read(self, name: str) -> bytes:
        """Return the content of a file; ArtifactError if it is not the one that was saved."""
        data = _bytes(self.folder, name)
        hashes = self.manifest.get("sha256")
        wanted = hashes.get(name) if isinstance(hashes, dict) else None
        if _hash(data) != wanted:
            raise ArtifactError(
                f"{self.folder / name} is not the file that was saved: its hash differs"
            )
        return data

    def json(self, name: str) -> dict[str, Any]:
        """Return the object in a JSON file."""
        return _json(self.read(name), name)

    def unpacked(self, part: str) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return arrays and data of ``packed_files``."""
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
        """Return what ``make`` builds from a part; its complaints name the folder and the part."""
        try:
            return make()
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise ArtifactError(f"{self.folder}: {part}: {fault}") from None


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.exists() and not path.is_file():  # to open a pipe would wait for its writer
            raise ArtifactError(f"{path}: is no file")
        if path.stat().st_size > MOST_BYTES:
            raise ArtifactError(f"{path} has more than {MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as fault:
        raise ArtifactError(f"{path}: {fault.strerror}") from None


def _json(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise ArtifactError(f"{name}: {fault}") from None
    if not isinstance(found, dict):
        raise ArtifactError(f"{name}: holds no object")
    return found

"""Reading of an archive, and the two files of its arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolchain.arrays import Array
from toolchain.atomic import read_folder
from toolchain.diagnostics import ArtifactError

__all__ = ["Archive", "as_json", "packed_files"]

KIND = "snn-deployment/"
FORMAT = KIND + "2"
"""Format that this version writes and reads."""
FORMER = (KIND + "1",)
"""Former formats, which lack the ledger and cannot be read."""
MANIFEST = "manifest.json"
MOST_BYTES = 64 * 2**20
"""Size limit of all files together, bytes."""

T = TypeVar("T")


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
        self.manifest: dict[str, Any] = {}
        try:
            self._files = read_folder(folder, MANIFEST, self._listed, most_bytes=MOST_BYTES)
        except OSError as fault:
            raise ArtifactError(f"{fault.filename}: {fault.strerror}") from None

    def _listed(self, data: bytes) -> Iterable[str]:
        self.manifest = read_manifest(data)
        found = self.manifest.get("format")
        if found != FORMAT:
            action = "; deploy the network again" if found in FORMER else ""
            raise ArtifactError(f"{self.folder}: format is {found!r}, need {FORMAT!r}{action}")
        hashes = self.manifest.get("sha256")
        return hashes if isinstance(hashes, dict) else ()

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            ArtifactError: the file is missing, or differs from the one that was saved.
        """
        data = self._files.get(name)
        if data is None or _hash(data) != self.manifest["sha256"][name]:
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


def read_manifest(data: bytes) -> dict[str, Any]:
    """Return the content of a manifest; ArtifactError if it is damaged."""
    return _json(data, MANIFEST)


def _json(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise ArtifactError(f"{name}: {fault}") from None
    if not isinstance(found, dict):
        raise ArtifactError(f"{name}: is not a JSON object")
    return found

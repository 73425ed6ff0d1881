"""A saved deployment: a folder of plain files, written whole or not at all.

    manifest.json         format, versions, chip, SHA-256 of every other file
    config.json           the vendor's attribute tree
    program.safetensors   what is loaded on the chip (arrays), program.json (the rest)
    graph.safetensors     the float network, graph.json
    quantized.safetensors the integer network, quantized.json
    diagnostics.json      warnings and remarks
    ledger.json           how far each layer is what was trained, and where the network came from
    activity.json         how busy the chip was on the calibration spikes

The folder is written beside its place and renamed into it, so that a crash leaves the old folder
or none. Nothing is pickled, and nothing is read that the manifest does not name with its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolchain.chips.family import load_family
from toolchain.deployment import Deployment
from toolchain.diagnostics import ArtifactError, Diagnostic, Severity
from toolchain.estimate import Activity
from toolchain.hardware import load_chip
from toolchain.ir import Array
from toolchain.ir.store import pack_graph, unpack_graph
from toolchain.ledger import Ledger

__all__ = ["load", "save"]

FORMAT = "snn-deployment/2"
FORMER = ("snn-deployment/1",)
"""Formats without a ledger, which cannot be made up for."""
MOST_BYTES = 512 * 2**20
PARTS = ("program", "graph", "quantized")
T = TypeVar("T")


def save(deployment: Deployment, folder: Path) -> Path:
    """Write ``deployment`` to ``folder`` and return it. An existing artifact is replaced.

    Raises:
        ArtifactError: ``folder`` exists and is not an artifact; it is left alone.
    """
    folder = folder.absolute()
    if folder.exists() and not _is_artifact(folder):
        raise ArtifactError(f"{folder} exists and is no saved deployment; it is left alone")
    files = _files(deployment)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, data in {**files, "manifest.json": _manifest(deployment, files)}.items():
            _write(fresh / name, data)
        fresh.chmod(0o755)
        _swap(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def load(folder: Path) -> Deployment:
    """Read the artifact in ``folder``.

    Raises:
        ArtifactError: files that are missing, changed, too large or of another version.
    """
    manifest = _json(_read(folder, "manifest.json"), "manifest.json")
    if manifest.get("format") != FORMAT:
        again = "; deploy the network again" if manifest.get("format") in FORMER else ""
        raise ArtifactError(
            f"{folder}: format {manifest.get('format')!r}, this reads {FORMAT!r}{again}"
        )
    files = {name: _verified(folder, name, manifest) for name in _names()}
    chip = _told(folder, "chip", lambda: load_chip(str(manifest["chip"])))
    family = load_family(chip.family)
    packed = {part: _unpacked(files, part) for part in PARTS}
    graph = _told(folder, "graph", lambda: unpack_graph(*packed["graph"]))
    # programs of earlier versions did not keep the name of their input
    packed["program"][1].setdefault("input_name", graph.input)
    found = _json(files["diagnostics.json"], "diagnostics.json")
    entries = _json(files["ledger.json"], "ledger.json")
    busy = _json(files["activity.json"], "activity.json")
    return Deployment(
        chip=chip,
        program=_told(folder, "program", lambda: family.unpack(*packed["program"])),
        graph=graph,
        quantized=_told(folder, "quantized", lambda: unpack_graph(*packed["quantized"])),
        diagnostics=_told(folder, "diagnostics", lambda: _diagnostics(found)),
        ledger=_told(folder, "ledger", lambda: Ledger.from_dict(entries)),
        calibration_activity=_told(folder, "activity", lambda: _activity(busy["activity"])),
    )


# ---- writing ----


def _is_artifact(folder: Path) -> bool:
    """Whether ``folder`` holds what ``save`` of some version wrote, and nothing else.

    Other programs have a ``manifest.json`` too, so its format decides; what else lies in the
    folder would be lost when the folder is replaced.
    """
    try:
        manifest = _json(_read(folder, "manifest.json"), "manifest.json")
    except ArtifactError:
        return False
    hashes = manifest.get("sha256")
    if not str(manifest.get("format")).startswith("snn-deployment/") or not isinstance(
        hashes, dict
    ):
        return False
    return all(path.name in {"manifest.json", *hashes} for path in folder.iterdir())


def _names() -> tuple[str, ...]:
    parts = [f"{part}.{suffix}" for part in PARTS for suffix in ("safetensors", "json")]
    return (*parts, "config.json", "diagnostics.json", "ledger.json", "activity.json")


def _files(deployment: Deployment) -> dict[str, bytes]:
    from safetensors.numpy import save as to_bytes

    packed = {
        "program": deployment.family.pack(deployment.program),
        "graph": pack_graph(deployment.graph),
        "quantized": pack_graph(deployment.quantized),
    }
    files: dict[str, bytes] = {}
    for part, (arrays, rest) in packed.items():
        # safetensors stores the memory as it lies: strides are not kept
        plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        files[f"{part}.safetensors"] = to_bytes(
            {name: array.reshape(-1) for name, array in plain.items()}
        )
        files[f"{part}.json"] = _dumped({"shapes": shapes, "data": rest})
    files["config.json"] = _dumped(deployment.config())
    found = [finding.as_dict() for finding in deployment.diagnostics]
    files["diagnostics.json"] = _dumped({"diagnostics": found})
    files["ledger.json"] = _dumped(deployment.ledger.as_dict())
    busy = deployment.calibration_activity
    files["activity.json"] = _dumped({"activity": None if busy is None else busy.as_dict()})
    return files


def _dumped(data: Any) -> bytes:
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False).encode()


def _manifest(deployment: Deployment, files: Mapping[str, bytes]) -> bytes:
    return _dumped(
        {
            "format": FORMAT,
            "chip": deployment.chip.name,
            "made_with": {
                "snn-toolchain": _version("snn-toolchain"),
                "python": platform.python_version(),
                "numpy": np.__version__,
            },
            "provenance": dict(deployment.graph.provenance),
            "sha256": {name: _hash(data) for name, data in files.items()},
        }
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _swap(fresh: Path, folder: Path) -> None:
    """Put ``fresh`` in the place of ``folder``; at no moment is there half an artifact."""
    if not folder.exists():
        fresh.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / folder.name)
    try:
        fresh.rename(folder)
    except OSError:
        (old / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


# ---- reading ----


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ArtifactError(f"{path} has more than {MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as fault:
        raise ArtifactError(f"{path}: {fault.strerror}") from None


def _verified(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    data = _read(folder, name)
    hashes = manifest.get("sha256")
    wanted = hashes.get(name) if isinstance(hashes, dict) else None
    if _hash(data) != wanted:
        raise ArtifactError(f"{folder / name} is not the file that was saved: its hash differs")
    return data


def _json(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise ArtifactError(f"{name}: {fault}") from None
    if not isinstance(found, dict):
        raise ArtifactError(f"{name}: holds no object")
    return found


def _unpacked(files: Mapping[str, bytes], part: str) -> tuple[dict[str, Array], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    rest = _json(files[f"{part}.json"], f"{part}.json")
    try:
        flat = from_bytes(files[f"{part}.safetensors"])
        shapes = {name: tuple(rest["shapes"][name]) for name in flat}
        return {name: flat[name].reshape(shapes[name]) for name in flat}, rest["data"]
    except (SafetensorError, KeyError, TypeError, ValueError) as fault:
        raise ArtifactError(f"{part}: {fault}") from None


def _diagnostics(data: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    return tuple(
        Diagnostic(**{**item, "severity": Severity(item["severity"])})
        for item in data["diagnostics"]
    )


def _activity(data: Any) -> Activity | None:
    return None if data is None else Activity.from_dict(data)


def _told(folder: Path, part: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise ArtifactError(f"{folder}: {part}: {fault}") from None

"""Saved deployments: the files of the archive, written and read.

manifest.json         format, versions, chip, SHA-256 of every other file
config.json           the vendor's attribute tree
program.safetensors   arrays loaded on the chip, program.json (the rest)
graph.safetensors     the float network, graph.json
quantized.safetensors the integer network, quantized.json
diagnostics.json      warnings and infos
ledger.json           fidelity of each layer, and origin of the network
activity.json         activity on the calibration spikes
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolchain.archive import Archive, as_json, packed_files, write_archive
from toolchain.chips.contract import OnChip
from toolchain.chips.load import family_of, load_chip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.fidelity.ledger import Ledger
from toolchain.ir import Graph
from toolchain.ir.store import pack_graph, unpack_graph
from toolchain.runs import Activity

__all__ = ["Parts", "read_parts", "write_parts"]

D = TypeVar("D", bound="Parts")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Attributes of a deployment.

    Attributes:
        on_chip: the program that is loaded, in integers, on its chip; simulation, estimate and
            configuration all read it.
        graph: the trained network, in floats, under the user's names.
        quantized: the network in the chip's layers and integers, before it is lowered.
        diagnostics: warnings and infos; a deployment has no errors.
        ledger: fidelity of each layer, and origin of the network.
        calibration_activity: activity on the calibration spikes; None without these or without
            dt.
    """

    on_chip: OnChip
    graph: Graph
    quantized: Graph
    diagnostics: tuple[Diagnostic, ...]
    ledger: Ledger
    calibration_activity: Activity | None = None


def write_parts(parts: Parts, folder: str | os.PathLike[str]) -> Path:
    """Write the archive to ``folder`` and return its path; an older one is replaced.

    Raises:
        ArtifactError: ``folder`` contains anything but a saved deployment, or one of a newer
            format, or cannot be written; it is not changed.
        TypeError: ``folder`` is no path.
    """
    files: dict[str, bytes] = {}
    for part, (arrays, data) in {
        "program": parts.on_chip.pack(),
        "graph": pack_graph(parts.graph),
        "quantized": pack_graph(parts.quantized),
    }.items():
        files |= packed_files(part, arrays, data)
    files |= parts.on_chip.files()
    found = [finding.as_dict() for finding in parts.diagnostics]
    files["diagnostics.json"] = as_json({"diagnostics": found})
    files["ledger.json"] = as_json(parts.ledger.as_dict())
    busy = parts.calibration_activity
    files["activity.json"] = as_json({"activity": None if busy is None else busy.as_dict()})
    return write_archive(folder, files, _manifest(parts))


def _manifest(parts: Parts) -> dict[str, Any]:
    return {
        "chip": parts.on_chip.chip.name,
        "made_with": {
            "snn-toolchain": _version("snn-toolchain"),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "provenance": dict(parts.graph.provenance),
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def read_parts(folder: Path, make: Callable[..., D]) -> D:
    """Read the archive in ``folder``.

    Args:
        folder: of the archive.
        make: takes the fields of ``Parts`` by name.

    Raises:
        ArtifactError: files that are missing, changed, too large or of another version.
    """
    archive = Archive(folder)
    archive.read("config.json")
    chip = archive.build("chip", lambda: load_chip(str(archive.manifest["chip"])))
    arrays, metadata = archive.unpacked("program")
    graph = archive.build("graph", lambda: unpack_graph(*archive.unpacked("graph")))
    # programs of earlier versions did not keep the name of their input
    metadata.setdefault("input_name", graph.input)
    found, busy = archive.json("diagnostics.json"), archive.json("activity.json")
    return make(
        on_chip=archive.build("program", lambda: family_of(chip).unpack(arrays, metadata)),
        graph=graph,
        quantized=archive.build("quantized", lambda: unpack_graph(*archive.unpacked("quantized"))),
        diagnostics=archive.build("diagnostics", lambda: _diagnostics(found)),
        ledger=archive.build("ledger", lambda: Ledger.from_dict(archive.json("ledger.json"))),
        calibration_activity=archive.build("activity", lambda: _activity(busy["activity"])),
    )


def _diagnostics(data: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    return tuple(
        Diagnostic(**{**item, "severity": Severity(item["severity"])})
        for item in data["diagnostics"]
    )


def _activity(data: Any) -> Activity | None:
    return None if data is None else Activity.from_dict(data)

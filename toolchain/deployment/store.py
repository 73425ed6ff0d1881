"""Saved deployments: the files of the archive, written and read.

manifest.json         format, versions, chip, SHA-256 of every other file
chip.json             the chip's specification, and where it came from
config.json           the vendor's attribute tree
program.safetensors   arrays loaded on the chip, program.json (the rest)
graph.safetensors     the float network, graph.json
quantized.safetensors the integer network, quantized.json
diagnostics.json      warnings and infos
ledger.json           fidelity of each layer, and origin of the network
activity.json         activity on the calibration spikes
latent.safetensors    unrounded parameters of the integer network, latent.json; not in earlier
                      artifacts

No part is trusted: an artifact that is read is converted to files again, which must be the same,
and every part is compared with those that it follows from (``toolchain.deployment.agree``). The
parts that no other part determines have a digest of all parts, so that none can be exchanged alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolchain.archive import (
    RESTORE,
    Archive,
    archive_path,
    as_json,
    from_json,
    packed_files,
    tensors,
    with_entry,
    write_archive,
)
from toolchain.arrays import Array, read_only
from toolchain.chips.contract import OnChip
from toolchain.chips.load import family_of
from toolchain.chips.stored import RULE, chip_data, chip_of, since_then
from toolchain.deployment import agree
from toolchain.deployment.former import former_chip, of_format_2
from toolchain.deployment.state_files import is_state
from toolchain.diagnostics import ArtifactError, Diagnostic, findings_of
from toolchain.fidelity.ledger import Ledger
from toolchain.hardware import SpecBase
from toolchain.ir import Graph
from toolchain.ir.store import pack_graph, unpack_graph
from toolchain.report import visible
from toolchain.runs import Activity

__all__ = ["Parts", "read_parts", "write_parts"]

D = TypeVar("D", bound="Parts")
DIGEST = "deployment_sha256"
"""Key of the digest of all parts, in those that no other part determines."""
DIGESTED = ("graph", "quantized", "diagnostics", "ledger", "activity", "latent")


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
        latent: unrounded weights, biases and thresholds in units of the integers of ``quantized``,
            float32 by ``"node.field"``; weights are 0 where there is no connection. None in
            artifacts of earlier versions. See ``toolchain.fidelity.latents``.
    """

    on_chip: OnChip
    graph: Graph
    quantized: Graph
    diagnostics: tuple[Diagnostic, ...]
    ledger: Ledger
    calibration_activity: Activity | None = None
    latent: Mapping[str, Array] | None = None


def write_parts(parts: Parts, folder: str | os.PathLike[str]) -> Path:
    """Write the archive to ``folder`` and return its path; an older one is replaced.

    Raises:
        ArtifactError: ``folder`` contains anything but a saved deployment, or one of a newer
            format, or cannot be written; it is not changed.
    """
    path = archive_path(folder)
    try:
        files = _files(parts)
    except ValueError as fault:  # more data than ``load`` reads
        raise ArtifactError(visible(f"{path}: cannot be written: {fault}")) from None
    manifest = {**_manifest(parts), "made_with": _versions()}
    return write_archive(path, files, manifest, replaces=lambda names: not is_state(names))


def _manifest(parts: Parts) -> dict[str, Any]:
    return {"chip": parts.on_chip.chip.name, "provenance": dict(parts.graph.provenance)}


def _versions() -> dict[str, str]:
    return {
        "snn-toolchain": _version("snn-toolchain"),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
    except OSError:  # damaged metadata is no reason not to save
        return "unknown"


def _files(parts: Parts) -> dict[str, bytes]:
    """Return the content of every file but the manifest."""
    busy = parts.calibration_activity
    files = {"chip.json": as_json(chip_data(parts.on_chip.chip))}
    files |= packed_files("program", *parts.on_chip.pack())
    files |= packed_files("graph", *pack_graph(parts.graph))
    files |= packed_files("quantized", *pack_graph(parts.quantized))
    if parts.latent is not None:
        files |= packed_files("latent", dict(sorted(parts.latent.items())), {})
    data = {
        "diagnostics": {"diagnostics": [finding.as_dict() for finding in parts.diagnostics]},
        "ledger": parts.ledger.as_dict(),
        "activity": {"activity": None if busy is None else busy.as_dict()},
    }
    files |= {f"{name}.json": as_json(part) for name, part in data.items()}
    digest = _digest(files)
    for name in _digested(files):
        files[name] = with_entry(files[name], DIGEST, digest)
    return {**files, **parts.on_chip.files()}


def _digested(files: Collection[str]) -> list[str]:
    """Return the names of the files that have the digest of all parts."""
    return [name for part in DIGESTED if (name := f"{part}.json") in files]


def _digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of files, by their names and contents."""
    found = hashlib.sha256()
    for name, data in sorted(files.items()):
        found.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(data).digest())
    return found.hexdigest()


def read_parts(folder: str | os.PathLike[str], make: Callable[..., D]) -> D:
    """Read the archive in ``folder``.

    Args:
        folder: of the archive.
        make: takes the fields of ``Parts`` by name.

    Raises:
        ArtifactError: files that are missing, changed, too large or of another version, or parts
            that do not agree.
        PluginError: the chip's family cannot be imported.
    """
    archive = Archive(archive_path(folder))
    former = archive.format == 2
    found = _parts(archive, former_chip(archive) if former else _chip(archive))
    on_chip = found.on_chip
    archive.build("program", lambda: agree.check_program(on_chip, on_chip.chip))
    again = archive.build("program", lambda: _files(found))
    if former:
        again = of_format_2(again)
    if archive.names != again.keys():
        raise archive.error("", _other_names(archive.names, again.keys()))
    for name, data in again.items():
        archive.build(name, partial(_check_file, name, archive.read(name), data, former))
    _check(archive, found)
    if not former:
        _check_digests(archive, again)
    values = {field.name: getattr(found, field.name) for field in fields(Parts)}
    kept = tuple(each for each in found.diagnostics if each.rule != RULE)
    values["diagnostics"] = (*kept, *since_then(found.on_chip.chip))
    values["calibration_activity"] = _with_input(found)
    return make(**values)


def _with_input(parts: Parts) -> Activity | None:
    """Return the activity with the name of the input, which has another one in format 2."""
    activity = parts.calibration_activity
    if activity is None:
        return None
    first, *layers = activity.layers
    return replace(activity, layers=(replace(first, name=parts.quantized.input), *layers))


def _chip(archive: Archive) -> SpecBase:
    return archive.build("chip.json", lambda: chip_of(archive.json("chip.json")))


def _parts(archive: Archive, chip: SpecBase) -> Parts:
    """Return the parts, each read by itself; the sizes of both networks are checked."""
    arrays, metadata = archive.unpacked("program")
    graph = archive.build("graph", partial(_graph, archive, "graph"))
    if archive.format == 2:  # programs of earlier versions did not keep the name of their input
        metadata.setdefault("input_name", graph.input)
    family = archive.build("chip.json", lambda: family_of(chip))
    busy = archive.json("activity.json")
    return Parts(
        on_chip=archive.build("program", lambda: family.unpack(arrays, metadata)),
        graph=graph,
        quantized=archive.build("quantized", partial(_graph, archive, "quantized")),
        diagnostics=archive.build(
            "diagnostics.json", lambda: findings_of(archive.json("diagnostics.json"))
        ),
        ledger=archive.build("ledger.json", lambda: Ledger.from_dict(archive.json("ledger.json"))),
        calibration_activity=archive.build("activity.json", lambda: _activity(busy["activity"])),
        latent=_latent(archive),
    )


def _graph(archive: Archive, part: str) -> Graph:
    arrays, data = archive.unpacked(part)
    agree.check_length(data)
    graph = unpack_graph(arrays, data)
    agree.check_sizes(graph)
    return graph


def _latent(archive: Archive) -> Mapping[str, Array] | None:
    if "latent.json" not in archive.names:
        return None
    arrays, _ = archive.unpacked("latent")
    return {name: read_only(array) for name, array in arrays.items()}


def _activity(data: Any) -> Activity | None:
    return None if data is None else Activity.from_dict(data)


def _other_names(found: Collection[str], wanted: Collection[str]) -> str:
    missing, unknown = sorted({*wanted} - {*found}), sorted({*found} - {*wanted})
    texts = [f"lacks {', '.join(missing)}"] if missing else []
    texts += [f"has unknown files {', '.join(unknown)}"] if unknown else []
    return f"{'; '.join(texts):.300}; {RESTORE}"


def _check_file(name: str, found: bytes, again: bytes, former: bool) -> None:
    """Check that a file has the content that is written of what was read from it."""
    if found == again:
        return
    if name.endswith(".json"):
        trees = from_json(found), from_json(again)
        for tree in trees:
            tree.pop(DIGEST, None)
        agree.check_same_data(*trees, former=former)
    elif name.endswith(".safetensors"):
        agree.check_same_arrays(tensors(found), tensors(again))
    else:
        raise ValueError("differs from the one that belongs to the program")


def _check_digests(archive: Archive, again: Mapping[str, bytes]) -> None:
    """Check that the parts were saved together."""
    for name in _digested(again):
        found = archive.read(name)
        if (
            found != again[name]
            and archive.json(name).get(DIGEST) != from_json(again[name])[DIGEST]
        ):
            raise archive.error(
                name, f"was not saved with the other files, or one was edited since; {RESTORE}"
            )


def _check(archive: Archive, parts: Parts) -> None:
    """Check that the parts agree."""
    on_chip, graph, chip = parts.on_chip, parts.graph, parts.on_chip.chip
    own = {k: v for k, v in archive.manifest.items() if k not in ("format", "sha256", "made_with")}
    busy, former = parts.calibration_activity, archive.format == 2

    def manifest() -> None:
        agree.check_same_data(own, _manifest(parts), former=former)
        if not all(isinstance(each, str) for each in archive.manifest["made_with"].values()):
            raise ValueError("made_with must be versions by name")

    checks: Mapping[str, Callable[[], None]] = {
        "manifest.json": manifest,
        "graph": lambda: agree.check_numbers(graph),
        "quantized": lambda: agree.check_quantized(graph, parts.quantized, on_chip),
        "latent": lambda: agree.check_latent(parts.latent, parts.quantized),
        "ledger.json": lambda: agree.check_ledger(parts.ledger, graph, chip),
        "diagnostics.json": lambda: agree.check_findings(parts.diagnostics),
        "activity.json": lambda: agree.check_activity(
            busy, on_chip, parts.quantized, former=former
        ),
    }
    for part, check in checks.items():
        archive.build(part, check)

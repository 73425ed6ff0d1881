"""Writer of ``.nir`` files in the layout that nir 1.0.4 and 1.0.8 share.

Files are uncompressed and do not depend on time or machine: the same NirFile gives the same bytes.
nir 1.0.4 cannot read the additions of 1.0.8, see ``schema.is_new``; both versions read metadata of
graphs, and of neurons other than CubaLI.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from toolchain.atomic import write_file
from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.limits import DEFAULT
from toolchain.frontends.nir.names import name_fault
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.schema import GRAPH, graph_faults, is_new

__all__ = ["as_bytes", "write"]

ROOT = "/node"
TEXT = h5py.string_dtype()


def write(path: str | Path, file: NirFile) -> Path:
    """Write ``file`` to ``path``, completely or not at all, and return the path.

    Raises:
        ModelFileError: nodes, fields, names or metadata that NIR does not have (lists all).
    """
    return write_file(Path(path), as_bytes(file))


def as_bytes(file: NirFile) -> bytes:
    """Return the bytes of a ``.nir`` file, with its own version or the oldest that fits.

    Raises:
        ModelFileError: as :func:`write`.
    """
    faults = [*graph_faults(file.graph, ROOT), *_metadata_faults(file.graph, ROOT)]
    if faults:
        raise file_error(file.where, faults)
    out = io.BytesIO()
    with h5py.File(out, "w") as root:
        version = file.version or ("1.0.8" if _any_new(file.graph) else "1.0.4")
        root.create_dataset("version", data=version, dtype=TEXT)
        _graph(root.create_group("node"), file.graph)
    return out.getvalue()


def _any_new(graph: NirGraph) -> bool:
    return any(
        _any_new(node) if isinstance(node, NirGraph) else is_new(node)
        for node in graph.nodes.values()
    )


def _graph(group: Any, graph: NirGraph) -> None:
    group.create_dataset("type", data=GRAPH, dtype=TEXT)
    edges = np.array(graph.edges, dtype=object).reshape(-1, 2)
    group.create_dataset("edges", data=edges, dtype=TEXT)
    nodes = group.create_group("nodes")
    for name, node in graph.nodes.items():
        member = nodes.create_group(name)
        if isinstance(node, NirGraph):
            _graph(member, node)
        else:
            _node(member, node)
    _metadata(group, graph.metadata)


def _node(group: Any, node: NirNode) -> None:
    group.create_dataset("type", data=node.type, dtype=TEXT)
    for name, value in node.fields.items():
        _value(group, name, value)
    _metadata(group, node.metadata)


def _metadata(group: Any, metadata: Mapping[str, Any]) -> None:
    if metadata:
        _plain(group.create_group("metadata"), metadata)


def _plain(group: Any, data: Mapping[str, Any]) -> None:
    for name, value in data.items():
        if isinstance(value, Mapping):
            _plain(group.create_group(name), value)
        else:
            _value(group, name, value)


def _value(group: Any, name: str, value: Any) -> None:
    if isinstance(value, str):
        group.create_dataset(name, data=value, dtype=TEXT)
        return
    array = np.asarray(value)
    if array.dtype.kind == "U":
        group.create_dataset(name, data=array.astype(object), dtype=TEXT)
    else:
        group.create_dataset(name, data=array)


def _metadata_faults(graph: NirGraph, place: str) -> Iterator[NirFault]:
    """Yield metadata that a file cannot store."""
    yield from _plain_faults(graph.metadata, f"{place}/metadata", 0)
    for name, node in graph.nodes.items():
        here = f"{place}/nodes/{name}"
        if isinstance(node, NirGraph):
            yield from _metadata_faults(node, here)
        else:
            yield from _plain_faults(node.metadata, f"{here}/metadata", 0)


def _plain_faults(data: Mapping[str, Any], place: str, depth: int) -> Iterator[NirFault]:
    if depth > DEFAULT.graph_depth:
        yield place, f"is nested more than {DEFAULT.graph_depth} dicts deep"
        return
    for name, value in data.items():
        reason = name_fault(name, DEFAULT.name_bytes)
        if reason:
            yield place, reason
        elif isinstance(value, Mapping):
            yield from _plain_faults(value, f"{place}/{name}", depth + 1)
        elif not _is_plain(value):
            text = f"is a {type(value).__name__}; expected strings, numbers, bools or lists of them"
            yield f"{place}/{name}", text


def _is_plain(value: Any) -> bool:
    if isinstance(value, str | bool | int | float | np.generic | np.ndarray):
        return not isinstance(value, int) or abs(value) < 2**63
    if not isinstance(value, list | tuple):
        return False
    try:
        return np.array(value).dtype.kind in "biufU"
    except ValueError:  # lists of different lengths
        return False

"""Reader of ``.nir`` files of any version of nir, including untrusted ones.

Layout, the same from nir 0.2.0 to 1.0.8: a string ``version`` and a group ``node``, the outermost
graph. A graph has a string ``type``, a group ``nodes`` and the (edges, 2) strings ``edges``; a
primitive has ``type`` and its fields. Either may have a group ``metadata``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from toolchain.arrays import Array
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.limits import DEFAULT, Limits
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode, NodeValue
from toolchain.frontends.nir.other_hdf5 import what_else
from toolchain.frontends.nir.respell import respelled, type_name
from toolchain.frontends.nir.sandbox import Group, read_trees
from toolchain.frontends.nir.schema import GRAPH, graph_faults

__all__ = ["read", "read_several"]

OUTERMOST = "/node"


def read(path: str | Path, *, limits: Limits = DEFAULT) -> NirFile:
    """Read the NIR file at ``path``.

    Raises:
        ModelFileError: the file is missing, damaged, too large or not a NIR file (the message
            lists the problems and their paths in the file).
    """
    (found,) = read_several([Path(path)], limits=limits)
    if isinstance(found, ModelFileError):
        raise found
    return found


def read_several(
    paths: Sequence[Path], *, limits: Limits = DEFAULT
) -> Iterator[NirFile | ModelFileError]:
    """Yield each file as :func:`read` returns it, or its error; in one process for all."""
    for path, tree in zip(paths, read_trees(paths, limits), strict=True):
        yield _file(str(path), tree, limits)


def _file(where: str, tree: Group | list[NirFault], limits: Limits) -> NirFile | ModelFileError:
    if isinstance(tree, list):
        other = what_else({place.strip("/").partition("/")[0] for place, _ in tree})
        more: list[NirFault] = [("/", f"has entries{other}")] if other else []
        return file_error(where, [*more, *tree])
    reader = _TreeReader()
    outermost = tree.get("node")
    if not isinstance(outermost, dict):
        return file_error(
            where,
            [
                (
                    OUTERMOST,
                    f"missing group; the file has {_member_names(tree)}{what_else(tree)}",
                )
            ],
        )
    kind = reader.type_of(outermost, OUTERMOST)
    if kind not in (GRAPH, ""):
        reader.faults.append(
            (f"{OUTERMOST}/type", f"{kind[:40]!r}; the outermost node must be a {GRAPH}")
        )
    version = tree.get("version")
    if version is not None and not isinstance(version, str):
        reader.faults.append(("/version", "is not a string"))
    reader.check_members(tree, {"node", "version"}, "")
    if not reader.faults:
        graph = reader.graph(outermost, OUTERMOST)
        faults = reader.faults or list(graph_faults(graph, OUTERMOST, limits))
        if not faults:
            return NirFile(
                graph=graph,
                version=str(version) if version else None,
                where=where,
                repairs=tuple(reader.repairs),
            )
        return file_error(where, faults)
    return file_error(where, reader.faults)


class _TreeReader:
    """Converts groups to nodes and collects problems."""

    def __init__(self) -> None:
        self.faults: list[NirFault] = []
        self.repairs: list[str] = []

    def graph(self, group: Group, place: str) -> NirGraph:
        self.check_members(group, {"type", "nodes", "edges", "metadata"}, place)
        nodes = group.get("nodes")
        if not isinstance(nodes, dict):
            self.faults.append((f"{place}/nodes", f"missing group; found {_member_names(group)}"))
            nodes = {}
        members: dict[str, NirNode | NirGraph] = {}
        for name, member in nodes.items():
            here = f"{place}/nodes/{name}"
            if isinstance(member, dict):
                members[name] = self.member(member, here)
            else:
                self.faults.append((here, "is a value; each node must be a group"))
        return NirGraph(
            nodes=members,
            edges=self.edges(group.get("edges"), f"{place}/edges"),
            metadata=self.metadata(group, place),
        )

    def member(self, group: Group, place: str) -> NirNode | NirGraph:
        kind = self.type_of(group, place)
        if type_name(kind) == GRAPH:
            return self.graph(group, place)
        fields: dict[str, NodeValue] = {}
        for name, value in group.items():
            if name in ("type", "metadata"):
                continue
            if isinstance(value, dict) or (not isinstance(value, str) and value.dtype == object):
                self.faults.append((f"{place}/{name}", "expected numbers or one string"))
            else:
                fields[name] = value
        metadata = self.metadata(group, place)
        node, notes = respelled(NirNode(type=kind, fields=fields, metadata=metadata))
        self.repairs += [f"{place.rpartition('/')[2]}: {note}" for note in notes]
        return node

    def type_of(self, group: Group, place: str) -> str:
        kind = group.get("type")
        if isinstance(kind, str) and kind:
            return kind
        text = "missing string" if kind is None else "is not a string"
        self.faults.append((f"{place}/type", text))
        return ""

    def edges(self, found: Group | Array | str | None, place: str) -> tuple[tuple[str, str], ...]:
        if found is None or isinstance(found, str | dict):
            self.faults.append((place, "missing data set of strings (edges, 2)"))
        elif not found.size:
            return ()
        elif found.dtype != object or found.ndim != 2 or found.shape[1] != 2:
            self.faults.append((place, f"{found.dtype} {found.shape}; expected strings (edges, 2)"))
        else:
            return tuple((str(pre), str(post)) for pre, post in found)
        return ()

    def metadata(self, group: Group, place: str) -> dict[str, Any]:
        found = group.get("metadata", {})
        if isinstance(found, dict):
            return _plain(found)
        self.faults.append((f"{place}/metadata", "is a value; expected a group"))
        return {}

    def check_members(self, group: Group, known: set[str], place: str) -> None:
        for name in sorted(group.keys() - known):
            text = f"unknown entry; expected {', '.join(sorted(known))}"
            self.faults.append((f"{place}/{name}", text))


def _member_names(group: Group) -> str:
    return ", ".join(sorted(group)) or "nothing"


def _plain(group: Group) -> dict[str, Any]:
    """Return metadata as numbers, strings, lists and dicts."""
    return {name: _plain_value(value) for name, value in group.items()}


def _plain_value(value: Group | Array | str) -> Any:
    if isinstance(value, dict):
        return _plain(value)
    return value if isinstance(value, str) else value.tolist()

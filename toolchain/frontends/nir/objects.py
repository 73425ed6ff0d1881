"""Import of ``nir.NIRGraph`` objects of nir 1.0.4 or 1.0.8, by attribute names.

nir itself is not imported. An object has every field of its class, so a ``v_reset`` that nir 1.0.8
filled in with zeros cannot be distinguished from an intended one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.limits import DEFAULT
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode, NodeValue
from toolchain.frontends.nir.respell import respelled
from toolchain.frontends.nir.schema import GRAPH, PRIMITIVES, graph_faults

__all__ = ["from_object"]

ROOT = "graph"
_PORTS = {
    ("Input", "shape"): ("input_type", "input"),
    ("Output", "shape"): ("output_type", "output"),
    ("Flatten", "input_type"): ("input_type", "input"),
}
"""Fields that an object stores in a dict, by type and name."""


def from_object(graph: Any) -> NirFile:
    """Convert a ``nir.NIRGraph`` in memory; its arrays are copied.

    Raises:
        ModelFileError: it is not a NIRGraph, contains itself, or has unknown nodes, fields or
            metadata (the message lists all).

    Example:
        >>> import numpy as np
        >>> from toolchain.frontends.nir import from_object, to_graph
        >>> def nir(kind, **fields):  # in place of the classes of the nir package
        ...     return type(kind, (), fields)()
        >>> nodes = {
        ...     "input": nir("Input", input_type={"input": np.array([3])}),
        ...     "fc": nir("Linear", weight=np.ones((2, 3))),
        ...     "output": nir("Output", output_type={"output": np.array([2])}),
        ... }
        >>> edges = [("input", "fc"), ("fc", "output")]
        >>> graph = to_graph(from_object(nir("NIRGraph", nodes=nodes, edges=edges)))
        >>> graph.shape("output")
        (2,)
    """
    where = f"{type(graph).__module__.split('.')[0]}.{type(graph).__qualname__}"
    reader = _ObjectReader()
    if type(graph).__qualname__ != GRAPH:
        raise file_error(
            where, [("", f"expected a {GRAPH}, the outermost node of every NIR model")]
        )
    found = reader.graph(graph, ROOT, ())
    faults = reader.faults or list(graph_faults(found, ROOT))
    if faults:
        raise file_error(where, faults)
    return NirFile(graph=found, version=_version(graph), where=where, repairs=tuple(reader.repairs))


def _version(graph: Any) -> str | None:
    package = sys.modules.get(type(graph).__module__.split(".")[0])
    version = getattr(package, "__version__", None)
    return str(version) if version else None


class _ObjectReader:
    """Converts objects to nodes and collects problems."""

    def __init__(self) -> None:
        self.faults: list[NirFault] = []
        self.repairs: list[str] = []
        self.count = 0

    def graph(self, graph: Any, place: str, parents: tuple[int, ...]) -> NirGraph:
        """Convert a graph; ``parents`` are the identities of the graphs around it."""
        nodes, edges = getattr(graph, "nodes", None), getattr(graph, "edges", None)
        self.count += len(nodes) if isinstance(nodes, Mapping) else 0
        if id(graph) in parents:
            self.faults.append((place, "the graph contains itself"))
        elif len(parents) >= DEFAULT.graph_depth:
            self.faults.append((place, f"is nested more than {DEFAULT.graph_depth} graphs deep"))
        elif not isinstance(nodes, Mapping):
            self.faults.append((f"{place}/nodes", "is not a dict"))
        elif self.count > DEFAULT.nodes:
            self.faults.append((place, f"more than {DEFAULT.nodes} nodes"))
        else:
            inside = (*parents, id(graph))
            return NirGraph(
                nodes={
                    _name(name): self.member(node, f"{place}/nodes/{_name(name)}", inside)
                    for name, node in nodes.items()
                },
                edges=self.edges(edges, place),
                metadata=self.metadata(graph, place),
            )
        return NirGraph(nodes={}, edges=())

    def member(self, node: Any, place: str, parents: tuple[int, ...]) -> NirNode | NirGraph:
        kind = type(node).__qualname__
        if kind == GRAPH:
            return self.graph(node, place, parents)
        fields: dict[str, NodeValue] = {}
        for name in PRIMITIVES.get(kind, ()):
            value = self.value(_attribute(node, kind, name), f"{place}/{name}")
            if value is not None:
                fields[name] = value
        metadata = self.metadata(node, place)
        new, notes = respelled(NirNode(type=kind, fields=fields, metadata=metadata))
        self.repairs += [f"{place.rpartition('/')[2]}: {note}" for note in notes]
        return new

    def value(self, value: Any, place: str) -> NodeValue | None:
        if value is None or isinstance(value, str):
            return value
        array = _array(value)
        if array is None:
            self.faults.append(
                (place, f"is a {type(value).__name__}; expected numbers or one string")
            )
        return array

    def edges(self, edges: Any, place: str) -> tuple[tuple[str, str], ...]:
        try:
            return tuple((_name(pre), _name(post)) for pre, post in edges)
        except (TypeError, ValueError):
            self.faults.append((f"{place}/edges", "is not a list of pairs of names"))
            return ()

    def metadata(self, node: Any, place: str) -> dict[str, Any]:
        found = getattr(node, "metadata", None) or {}
        if isinstance(found, Mapping):
            return self.plain(found, f"{place}/metadata", 0)
        self.faults.append((f"{place}/metadata", "is not a dict"))
        return {}

    def plain(self, found: Mapping[Any, Any], place: str, depth: int) -> dict[str, Any]:
        return {
            str(name): self.plain_value(value, f"{place}/{name}", depth + 1)
            for name, value in found.items()
        }

    def plain_value(self, value: Any, place: str, depth: int) -> Any:
        if isinstance(value, str):
            return value
        if isinstance(value, Mapping) and depth < DEFAULT.graph_depth:
            return self.plain(value, place, depth)
        texts = _texts(value)
        if texts is not None:
            return texts
        array = None if isinstance(value, Mapping) else _array(value)
        if array is None:
            self.faults.append(
                (place, f"is a {type(value).__name__}; expected strings, numbers, lists or dicts")
            )
            return None
        return array.tolist()


def _name(name: Any) -> str:
    """Return the name of a node, which HDF5 libraries also give as bytes."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _attribute(node: Any, kind: str, name: str) -> Any:
    """Return a field of an object; the shapes of ports are in a dict."""
    attribute, port = _PORTS.get((kind, name), (name, None))
    found = getattr(node, attribute, None)
    return found.get(port) if port is not None and isinstance(found, Mapping) else found


def _texts(value: Any) -> list[str] | None:
    """Return a list of strings, decoding those that nir returns as bytes; else None."""
    items = value.tolist() if isinstance(value, np.ndarray) and value.dtype == object else value
    if not isinstance(items, list | tuple) or not items:
        return None
    if not all(isinstance(item, str | bytes) for item in items):
        return None
    return [item if isinstance(item, str) else item.decode("utf-8", "replace") for item in items]


def _array(value: Any) -> Array | None:
    """Return a read-only array of numbers or bools, or None."""
    if hasattr(value, "detach"):  # a torch tensor, possibly on a device and with a gradient
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray | np.generic | int | float | list | tuple):
        return None
    if isinstance(value, list | tuple) and not _is_rectangular(value):
        return None
    array = np.array(value)
    if array.dtype.kind not in "biuf":
        return None
    array.flags.writeable = False
    return array


def _is_rectangular(items: Iterable[Any]) -> bool:
    """Return True if nested lists have equal lengths per level and numbers innermost."""
    items = list(items)
    if not any(isinstance(item, list | tuple) for item in items):
        return all(isinstance(item, bool | int | float | np.number | np.bool_) for item in items)
    if not all(isinstance(item, list | tuple) for item in items):
        return False
    return len({len(item) for item in items}) == 1 and all(_is_rectangular(item) for item in items)

"""Conversion of a Graph to arrays and plain data, and back: no pickle, no unknown fields."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import features, maps, neuron, nodes, sensor, transposed
from toolchain.ir.graph import Edge, Graph
from toolchain.ir.nodes import Node

__all__ = ["pack_graph", "unpack_graph"]

FORMAT = "snn-graph/1"


def _kinds(module: types.ModuleType) -> dict[str, type[Node]]:
    named = {name: getattr(module, name) for name in module.__all__}
    return {k: v for k, v in named.items() if isinstance(v, type) and issubclass(v, Node)}


STORED_AS = {"MembraneReadout": "Readout"}
"""Node types whose name in a file differs from that of the class."""
KINDS = {
    STORED_AS.get(name, name): kind
    for module in (nodes, features, maps, transposed, neuron, sensor)
    for name, kind in _kinds(module).items()
}


def pack_graph(graph: Graph) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays by ``node/field``, and all other fields as data for JSON."""
    arrays: dict[str, Array] = {}
    described = []
    for name, node in graph.nodes.items():
        plain: dict[str, Any] = {}
        for key, value in node.parameters().items():
            if isinstance(value, np.ndarray):
                arrays[f"{name}/{key}"] = value
            else:
                plain[key] = list(value) if isinstance(value, tuple) else value
        kind = type(node).__name__
        described.append({"name": name, "kind": STORED_AS.get(kind, kind), "fields": plain})
    return arrays, {
        "format": FORMAT,
        "dt": graph.dt,
        "provenance": dict(graph.provenance),
        "nodes": described,
        "edges": [[e.pre, e.post, e.delay] for e in graph.edges],
    }


def unpack_graph(arrays: Mapping[str, Array], data: Mapping[str, Any]) -> Graph:
    """Return the graph that ``pack_graph`` converted.

    Raises:
        ValueError: another format, an unknown node or field, or an invalid graph.
    """
    if data.get("format") != FORMAT:
        raise ValueError(f"format {data.get('format')!r} is not {FORMAT!r}")
    try:
        built = {str(item["name"]): _node(item, arrays) for item in data["nodes"]}
        edges = [Edge(str(pre), str(post), int(delay)) for pre, post, delay in data["edges"]]
        provenance = data["provenance"]
        if not all(isinstance(each, str) for pair in provenance.items() for each in pair):
            raise ValueError("provenance must be text")
        return Graph(built, edges, dt=data["dt"], provenance=provenance)
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"not a stored graph: {fault}") from None


def _node(item: Mapping[str, Any], arrays: Mapping[str, Array]) -> Node:
    kind = KINDS[item["kind"]]
    prefix = f"{item['name']}/"
    own = {key: arrays[prefix + key] for key in kind.ARRAYS if prefix + key in arrays}
    known = {field.name for field in fields(kind)}
    given = [*item["fields"], *own]
    if len({*given}) < len(given) or not {*given} <= known:
        raise ValueError(f"fields {sorted({*given} - known)} of {item['name']!r} are unknown")
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in item["fields"].items()}
    for key, value in plain.items():
        wanted = _types(item["kind"])[key]
        if not (value is None if key in kind.ARRAYS else _is_of(value, wanted)):
            raise ValueError(f"{key} of {item['name']!r} is {value!r:.60}")
    return kind(**plain, **own)


@cache
def _types(kind: str) -> dict[str, Any]:
    """Return the annotations of a node type by field."""
    return get_type_hints(KINDS[kind])


def _is_of(value: Any, kind: Any) -> bool:
    """Return whether ``value`` is of an annotated type, a whole number also of ``float``."""
    parts = get_args(kind)
    match get_origin(kind):
        case None if kind is float:
            return type(value) in (int, float)
        case None:
            return type(value) is kind
        case types.UnionType:
            return any(_is_of(value, part) for part in parts)
        case origin if origin is Literal:
            return isinstance(value, str) and value in parts
    if type(value) is not tuple:
        return False
    wanted = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
    return len(value) == len(wanted) and all(map(_is_of, value, wanted))

"""Metadata that this toolchain adds to NIR files, and reading it back.

The metadata ``toolchain`` of the outermost graph is one JSON text: the Graph as packed by
``ir.store``, without the arrays that NIR has fields for. It is used only if the Graph, exported
again, gives the same nodes and edges as the file; otherwise the file was modified since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isclose
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode, NodeValue
from toolchain.frontends.nir.patterns import TAUS
from toolchain.frontends.nir.plain import plain_graph
from toolchain.ir import Graph, decay
from toolchain.ir.store import pack_graph, unpack_graph

__all__ = ["KEY", "metadata", "own_graph"]

KEY = "toolchain"
FORMAT = "snn-nir/1"
IN_STEPS = "timesteps"
"""Value of ``time_constants`` in a file with the time constants of sinabs."""
ROUNDING = 1e-6
"""Difference of decay factors that comes from time constants in float32."""
IN_FIELDS = ("weight", "bias")
"""Weight arrays, which have the same names in NIR."""
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Exceptions that malformed data raises during conversion to a Graph."""
DTYPES = ("int8", "int16", "int32", "int64", "float64")


def metadata(graph: Graph, *, in_steps: bool = False) -> dict[str, str]:
    """Return the metadata of the outermost graph; ``in_steps`` as for ``plain_graph``."""
    arrays, data = pack_graph(graph)
    weights, rest = [], {}
    for key, value in arrays.items():
        if _in_fields(graph, key):
            weights.append(key)
        else:
            rest[key] = _as_json(value)
    form = {"time_constants": IN_STEPS} if in_steps else {}
    packed = {"format": FORMAT, **form, "graph": data, "fields": weights, "arrays": rest}
    return {KEY: json.dumps(packed)}


def _in_fields(graph: Graph, key: str) -> bool:
    name, _, field = key.rpartition("/")
    return field in IN_FIELDS and hasattr(graph[name], "weight")


def _as_json(value: Array) -> dict[str, Any]:
    shape, numbers = list(value.shape), value.reshape(-1).tolist()
    return {"dtype": value.dtype.name, "shape": shape, "numbers": numbers}


def own_graph(file: NirFile, dt: float | None = None, reset: str | None = None) -> Graph | None:
    """Return the Graph that this toolchain wrote into ``file``; None for other files.

    Args:
        file: the file as read.
        dt: length of a timestep, s, as given by the user; must agree with the file.
        reset: as given by the user; must be None, since the file defines its resets.

    Raises:
        ModelFileError: the metadata is damaged or contradicts the file's nodes, dt or reset.
    """
    text = file.graph.metadata.get(KEY)
    if text is None:
        return None
    how = f"; pass dialect= to read the nodes without the metadata {KEY!r}"
    try:
        graph, in_steps = _unpack(file.graph, text)
        expected = plain_graph(graph, in_steps=in_steps)
    except DAMAGE as fault:
        raise ModelFileError(f"{file.where}: metadata {KEY!r}: {fault}{how}") from None
    difference = next(_differences(file.graph, expected), None)
    if difference is not None:
        raise ModelFileError(f"{file.where}: {difference} since this toolchain wrote the file{how}")
    if reset is not None:
        raise ModelFileError(f"{file.where}: the file defines its own resets; omit reset={how}")
    if dt is not None and graph.dt is not None and not isclose(dt, graph.dt, rel_tol=1e-9):
        raise ModelFileError(
            f"{file.where}: dt={dt:g} s was given, but the file has {graph.dt:g} s{how}"
        )
    provenance = {
        **graph.provenance,
        "nir_dialect": f"{'sinabs' if in_steps else 'euler'} (file written by this toolchain)",
        "self_check": "writing it again gives the same nodes and edges",
    }
    own_dt = dt if graph.dt is None else graph.dt
    return Graph(graph.nodes, graph.edges, dt=own_dt, provenance=provenance)


def _unpack(found: NirGraph, text: object) -> tuple[Graph, bool]:
    """Return the Graph, and whether its time constants count timesteps."""
    data = json.loads(text) if isinstance(text, str) else None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"is not of format {FORMAT!r}")
    arrays = {str(key): _array(value) for key, value in data["arrays"].items()}
    for key in data["fields"]:
        name, _, field = str(key).rpartition("/")
        node = found.nodes[name]
        if not isinstance(node, NirNode) or field not in IN_FIELDS:
            raise ValueError(f"no weights at {key!r}")
        weight = np.asarray(node.fields[field])
        arrays[str(key)] = weight.astype(np.float64) if weight.dtype.kind == "f" else weight
    packed = data["graph"]
    provenance = {str(key): str(value) for key, value in packed["provenance"].items()}
    graph = unpack_graph(arrays, {**packed, "provenance": provenance})
    return graph, data.get("time_constants") == IN_STEPS


def _array(value: Mapping[str, Any]) -> Array:
    if value["dtype"] not in DTYPES:
        raise ValueError(f"numbers of type {value['dtype']!r}")
    return np.array(value["numbers"], dtype=value["dtype"]).reshape(value["shape"])


def _differences(found: NirGraph, expected: NirGraph) -> Iterator[str]:
    if set(found.nodes) != set(expected.nodes):
        names = sorted(set(found.nodes) ^ set(expected.nodes))
        yield f"nodes were added or removed ({', '.join(names[:5])})"
    elif sorted(found.edges) != sorted(expected.edges):
        yield "edges were changed"
    else:
        for name, node in expected.nodes.items():
            current = found.nodes[name]
            assert isinstance(node, NirNode)
            if not isinstance(current, NirNode) or not _same(
                _without_defaults(current, node), node
            ):
                yield f"node {name!r} was changed"


def _same(one: NirNode, other: NirNode) -> bool:
    return (
        one.type == other.type
        and one.fields.keys() == other.fields.keys()
        and all(_equal(key, one.fields[key], value) for key, value in other.fields.items())
    )


def _without_defaults(node: NirNode, expected: NirNode) -> NirNode:
    """Return the node without a ``v_reset`` of 0 that nir 1.0.8 adds."""
    added = "v_reset" in node.fields and "v_reset" not in expected.fields
    if not added or np.any(np.asarray(node.fields["v_reset"])):
        return node
    fields = {name: value for name, value in node.fields.items() if name != "v_reset"}
    return replace(node, fields=fields)


def _equal(name: str, one: NodeValue, other: NodeValue) -> bool:
    if np.shape(one) != np.shape(other):
        return False
    if name in TAUS and np.asarray(one).dtype == np.float32:  # as a module has it, not from a decay
        before, after = (decay(np.asarray(tau, dtype=np.float64), dt=1) for tau in (one, other))
        return bool(np.allclose(before, after, rtol=0, atol=ROUNDING))
    return bool(np.all(np.asarray(one) == np.asarray(other)))

"""Convolutions and pools as dense weights, for chips that know no maps."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from toolchain.ir import (
    Add,
    Array,
    Conv1d,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Membrane,
    Node,
    Output,
    Scale,
    Shape,
    SumPool2d,
)
from toolchain.ir.interpret import evaluate

__all__ = ["unroll"]

UNROLLED = (Conv1d, Conv2d, SumPool2d, Scale)
TAKEN = (*UNROLLED, Add, Flatten, Identity, Input, Linear, Membrane, Output)


def unroll(graph: Graph, *, most: int = 2**24) -> Graph:
    """Every convolution, pool and ``Scale`` a ``Linear``; all features in rows, in C order.

    An input of several axes keeps its shape and is flattened first; what leaves the network is
    in rows.

    Requires: no layers other than these, dense ones, neurons and sums, and no weight of more than
    ``most`` numbers; any other graph is left as it is.
    Ensures: no ``Conv1d``, ``Conv2d``, pool, ``Scale`` or ``Flatten`` but that of the input is
    left; the response is unchanged, exactly but for the order of sums.
    """
    sizes = [
        prod(graph.shape(name)) * prod(graph.input_shape_of(name))
        for name, node in graph.nodes.items()
        if isinstance(node, UNROLLED)
    ]
    taken = all(isinstance(node, TAKEN) for node in graph.nodes.values())
    maps = [name for name, node in graph.of(Membrane).items() if len(node.shape) > 1]
    if not taken or not (sizes or maps) or max(sizes, default=0) > most:
        return graph
    nodes = {
        name: _in_rows(node, () if isinstance(node, Input) else graph.input_shape_of(name))
        for name, node in graph.nodes.items()
        if not isinstance(node, Flatten)
    }
    edges = [edge for name in nodes for edge in _inputs(graph, name)]
    if len(graph.shape(graph.input)) > 1:
        first = _free(graph, f"{graph.input}.flatten")
        edges = [replace(e, pre=first) if e.pre == graph.input else e for e in edges]
        edges.append(Edge(graph.input, first))
        nodes[first] = Flatten()
    return Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)


def _free(graph: Graph, name: str) -> str:
    while name in graph:
        name += "'"
    return name


def _inputs(graph: Graph, name: str) -> list[Edge]:
    """The edges into ``name``, from what lies before any flattening."""
    found = []
    for edge in graph.pre(name):
        while isinstance(graph[edge.pre], Flatten):
            (before,) = graph.pre(edge.pre)
            edge = Edge(before.pre, name, before.delay + edge.delay)
        found.append(edge)
    return found


def _in_rows(node: Node, shape: Shape) -> Node:
    """``node``, which receives ``shape``, between rows of features."""
    if isinstance(node, UNROLLED):
        return _dense(node, shape)
    return _row_of_neurons(node) if isinstance(node, Membrane) else node


def _dense(node: Conv1d | Conv2d | SumPool2d | Scale, shape: Shape) -> Linear:
    """The matrix whose columns are the responses to single features."""
    bias = node.bias if isinstance(node, (Conv1d, Conv2d)) else None
    bare = replace(node, bias=None) if isinstance(node, (Conv1d, Conv2d)) else node
    features = prod(shape)
    units = np.eye(features).reshape(1, features, *shape)
    weight = evaluate(bare, [units]).reshape(features, -1).T
    if isinstance(node, (Conv1d, Conv2d)) and np.issubdtype(node.weight.dtype, np.integer):
        weight = weight.astype(node.weight.dtype)
    if bias is not None:
        bias = np.repeat(bias, len(weight) // len(bias))
    return Linear(weight=weight, bias=bias)


def _row_of_neurons(node: Membrane) -> Membrane:
    row = (prod(node.shape),)
    changes: dict[str, Any] = {"shape": row}
    for name in node.ARRAYS:
        value: Array | None = getattr(node, name)
        if value is None:
            continue
        inner = (node.synapses,) if name == "alpha_syn" else ()
        outer = row if value.size > prod(inner) else ()
        each = np.broadcast_to(value, (*node.shape, *inner)) if outer else value
        changes[name] = each.reshape((*outer, *inner))
    return replace(node, **changes)

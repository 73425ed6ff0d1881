"""Products of dense weights that follow each other directly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import prod

import numpy as np

from toolchain.ir import Add, Edge, Graph, Linear

__all__ = ["merge_weights"]


def merge_weights(graph: Graph, *, names: Collection[str] = (), most: int = 2**24) -> Graph:
    """Merge every ``Linear`` that reads another, or a sum of others, with them.

    ``V (W x + b) + c`` is ``(V W) x + (V b + c)``. The product has the name of the second, or of
    the first if only that one is in ``names``; a product before a sum has the name of the part.

    Not merged: products of more than ``most`` numbers, biases that would act in another timestep,
    and sums with other parts or other readers.
    Ensures: the response is unchanged in exact arithmetic.

    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(1,)), "w": Linear(weight=[[2.0]])}
    >>> nodes |= {"v": Linear(weight=[[3.0]]), "output": Output()}
    >>> graph = merge_weights(Graph.chain(nodes))
    >>> list(graph.nodes), graph["v"].weight.tolist()
    (['input', 'v', 'output'], [[6.0]])
    """
    left = [*graph.of(Linear)]
    while left:
        name = left.pop(0)
        if name not in graph:
            continue
        merged = _merged(graph, name, names, most)
        if merged is not None:
            graph, left = merged, [*merged.of(Linear)]
    return graph


def _merged(graph: Graph, name: str, names: Collection[str], most: int) -> Graph | None:
    """Return ``graph`` without the pair that ends at ``name``; None if it cannot be merged."""
    (edge,) = graph.pre(name)
    before = graph[edge.pre]
    if isinstance(before, Add):
        return _into_parts(graph, name, graph.pre(edge.pre), edge.delay, most)
    if not isinstance(before, Linear):
        return None
    first = [replace(edge, delay=0)]
    by_first = edge.pre in names and name not in names
    merged = _into_parts(graph, name, first, edge.delay, most) if by_first else None
    return merged or _into_reader(graph, edge, most)


def _into_reader(graph: Graph, edge: Edge, most: int) -> Graph | None:
    """Put the product into the second weight; the first stays if other nodes read it as well."""
    weights = graph.of(Linear)
    first, second = weights[edge.pre], weights[edge.post]
    if _too_large(second, first, most) or (edge.delay and _has_bias(first)):
        return None
    bias = second.bias
    if first.bias is not None:
        bias = second.weight @ first.bias + (0 if bias is None else bias)
    product = Linear(weight=second.weight @ first.weight, bias=bias)
    (source,) = graph.pre(edge.pre)
    edges = [e for e in graph.edges if e != edge]
    edges.append(Edge(source.pre, edge.post, source.delay + edge.delay))
    nodes = {**graph.nodes, edge.post: product}
    if graph.post(edge.pre) == (edge,):
        del nodes[edge.pre]
        edges = [e for e in edges if e.post != edge.pre]
    return Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)


def _into_parts(
    graph: Graph, name: str, parts: Collection[Edge], delay: int, most: int
) -> Graph | None:
    """Put the products into the weights that ``name`` reads through the edges ``parts``."""
    weights = graph.of(Linear)
    second = weights[name]
    (into,) = graph.pre(name)
    own = {part.pre for part in parts} | {into.pre}
    if any(len(graph.post(one)) > 1 for one in own) or name in own:
        return None
    if any(p.pre not in weights or _too_large(second, weights[p.pre], most) for p in parts):
        return None
    at_once = [part.pre for part in parts if not part.delay + delay]
    if _has_bias(second) and not at_once:
        return None
    changes = {part.pre: _product(second, weights[part.pre]) for part in parts}
    if second.bias is not None and at_once:
        one = changes[at_once[0]]
        changes[at_once[0]] = replace(one, bias=second.bias + (0 if one.bias is None else one.bias))
    nodes = {key: changes.get(key, node) for key, node in graph.nodes.items() if key != name}
    onward = [Edge(into.pre, e.post, into.delay + e.delay) for e in graph.post(name)]
    edges = [e for e in graph.edges if name not in (e.pre, e.post)]
    return Graph(nodes, [*edges, *onward], dt=graph.dt, provenance=graph.provenance)


def _product(second: Linear, first: Linear) -> Linear:
    """Return the product of both, without the bias of the second."""
    bias = None if first.bias is None else second.weight @ first.bias
    return Linear(weight=second.weight @ first.weight, bias=bias)


def _too_large(second: Linear, first: Linear, most: int) -> bool:
    return prod((len(second.weight), first.weight.shape[1])) > most


def _has_bias(node: Linear) -> bool:
    return node.bias is not None and bool(np.any(node.bias))

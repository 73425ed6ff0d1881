"""Average pooling as the chips compute it: sums, with the division in the next weights."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from toolchain.ir import (
    Add,
    AvgPool2d,
    Conv2d,
    Flatten,
    Graph,
    Identity,
    Linear,
    Node,
    SumPool2d,
)
from toolchain.passes.weights import scaled

__all__ = ["fold_average_pool"]

PASSING = (SumPool2d, Flatten, Identity, Add)
"""Nodes that pass a factor on; ``AvgPool2d`` is a subclass of ``SumPool2d``."""


def fold_average_pool(graph: Graph) -> Graph:
    """Replace each ``AvgPool2d`` by a ``SumPool2d``; divide the next weights by the window's size.

    Requires: every path from the pool reaches a weight, within the timestep, only through pools,
    flatten and sums of branches, and the branches of each such sum are divided by the same
    number. Other pools are not changed. Biases are not scaled.
    Ensures: the response is unchanged in exact arithmetic.

    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(1, 2, 2)), "pool": AvgPool2d(kernel=2, stride=2)}
    >>> nodes |= {"conv": Conv2d(weight=[[[[3.0]]]]), "output": Output()}
    >>> graph = fold_average_pool(Graph.chain(nodes))
    >>> type(graph["pool"]).__name__, graph["conv"].weight.ravel().tolist()
    ('SumPool2d', [0.75])
    """
    kept = {name for name in graph.of(AvgPool2d) if not _ends_in_weights(graph, name)}
    while more := _disagreeing(graph, _divisors(graph, kept)) - kept:
        kept |= more
    divisors = _divisors(graph, kept)
    changes: dict[str, Node] = {
        name: SumPool2d(kernel=node.kernel, stride=node.stride)
        for name, node in graph.of(AvgPool2d).items()
        if name not in kept
    }
    for name, node in graph.nodes.items():
        if isinstance(node, (Linear, Conv2d)) and (size := divisors[graph.before(name)]) > 1:
            changes[name] = _divided(node, size)
    return graph.replace(changes)


def _ends_in_weights(graph: Graph, pool: str) -> bool:
    """Return whether only weights use the output of ``pool``."""
    waiting, seen = [pool], {pool}
    while waiting:
        for edge in graph.post(waiting.pop()):
            node = graph[edge.post]
            if isinstance(node, PASSING) and not _waits(graph, edge.post):
                waiting += [edge.post] if edge.post not in seen else []
                seen.add(edge.post)
            elif not isinstance(node, (Linear, Conv2d)):
                return False
    return True


def _waits(graph: Graph, name: str) -> bool:
    """Return whether a node reads an output of an earlier timestep."""
    return any(edge.delay for edge in graph.pre(name))


def _divisors(graph: Graph, kept: Collection[str]) -> dict[str, int]:
    """Return the factor by which each output is too large if all pools but ``kept`` are sums.

    0 for a sum whose branches have different factors.
    """
    divisors: dict[str, int] = {}
    for name, node in graph.nodes.items():
        divisors[name] = 1
        if isinstance(node, PASSING) and not _waits(graph, name):
            before = {divisors[edge.pre] for edge in graph.pre(name)}
            divisors[name] = before.pop() if len(before) == 1 else 0
        if isinstance(node, AvgPool2d) and name not in kept:
            divisors[name] *= node.kernel[0] * node.kernel[1]
    return divisors


def _disagreeing(graph: Graph, divisors: dict[str, int]) -> set[str]:
    """Return the averages on paths into sums whose branches have different factors."""
    waiting = [name for name in graph.of(Add) if divisors[name] == 0]
    averages: set[str] = set()
    while waiting:
        for edge in graph.pre(waiting.pop()):
            if isinstance(graph[edge.pre], PASSING) and not _waits(graph, edge.pre):
                waiting.append(edge.pre)
                averages |= {edge.pre} & set(graph.of(AvgPool2d))
    return averages


def _divided(node: Node, size: int) -> Node:
    assert isinstance(node, (Linear, Conv2d))
    weight = scaled(replace(node, bias=None), np.asarray(1.0 / size))
    assert isinstance(weight, (Linear, Conv2d))
    return replace(weight, bias=node.bias)

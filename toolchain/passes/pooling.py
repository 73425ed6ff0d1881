"""Average pooling as the chips have it: summing, with the division done by the next weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.ir import AvgPool2d, Conv2d, Flatten, Graph, Identity, Linear, Node, SumPool2d
from toolchain.passes.weights import scaled

__all__ = ["fold_average_pool"]


def fold_average_pool(graph: Graph) -> Graph:
    """Each ``AvgPool2d`` a ``SumPool2d``; the weights that read it divided by the window's size.

    Requires: every path from the pool reaches a weight through pools and flatten alone; a pool
    that ends elsewhere (a sum of branches, the output) is left as it is. Biases are not scaled.
    Ensures: the response is unchanged in exact arithmetic.
    """
    for name, node in graph.of(AvgPool2d).items():
        readers = _readers(graph, name)
        if readers is None:
            continue
        size = node.kernel[0] * node.kernel[1]
        changes: dict[str, Node] = {r: _divided(graph[r], size) for r in readers}
        changes[name] = SumPool2d(kernel=node.kernel, stride=node.stride)
        graph = graph.replace(changes)
    return graph


def _readers(graph: Graph, pool: str) -> list[str] | None:
    """The weights that read ``pool``, or None where something else does."""
    found: list[str] = []
    waiting = [edge.post for edge in graph.post(pool)]
    while waiting:
        name = waiting.pop()
        if isinstance(graph[name], (Linear, Conv2d)):
            found.append(name)
        elif isinstance(graph[name], (SumPool2d, Flatten, Identity)):
            waiting += [edge.post for edge in graph.post(name)]
        else:
            return None
    return found


def _divided(node: Node, size: int) -> Node:
    assert isinstance(node, (Linear, Conv2d))
    weight = scaled(replace(node, bias=None), np.asarray(1.0 / size))
    assert isinstance(weight, (Linear, Conv2d))
    return replace(weight, bias=node.bias)

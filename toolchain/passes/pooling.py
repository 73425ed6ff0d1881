"""Average pooling as the chips have it: summing, with the division done by the next weights."""

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
"""What hands a factor on; an average is a ``SumPool2d``, too."""


def fold_average_pool(graph: Graph) -> Graph:
    """Each ``AvgPool2d`` a ``SumPool2d``; the weights that read it divided by the window's size.

    Requires: every path from the pool reaches a weight, within the timestep, through pools,
    flatten and sums of branches alone, and the branches of each such sum are divided by the same
    number. A pool for which this does not hold is left as it is. Biases are not scaled.
    Ensures: the response is unchanged in exact arithmetic.
    """
    kept = {name for name in graph.of(AvgPool2d) if not _ends_in_weights(graph, name)}
    while more := _at_odds(graph, _divisors(graph, kept)) - kept:
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
    """Whether nothing but weights makes use of what ``pool`` hands on."""
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
    """Whether a node reads anything of an earlier timestep."""
    return any(edge.delay for edge in graph.pre(name))


def _divisors(graph: Graph, kept: Collection[str]) -> dict[str, int]:
    """What the output of each node is too large by when all pools but ``kept`` are sums.

    0 for a sum whose branches do not agree.
    """
    found: dict[str, int] = {}
    for name, node in graph.nodes.items():
        found[name] = 1
        if isinstance(node, PASSING) and not _waits(graph, name):
            before = {found[edge.pre] for edge in graph.pre(name)}
            found[name] = before.pop() if len(before) == 1 else 0
        if isinstance(node, AvgPool2d) and name not in kept:
            found[name] *= node.kernel[0] * node.kernel[1]
    return found


def _at_odds(graph: Graph, divisors: dict[str, int]) -> set[str]:
    """Averages on their way into sums whose branches do not agree."""
    waiting = [name for name in graph.of(Add) if divisors[name] == 0]
    found: set[str] = set()
    while waiting:
        for edge in graph.pre(waiting.pop()):
            if isinstance(graph[edge.pre], PASSING) and not _waits(graph, edge.pre):
                waiting.append(edge.pre)
                found |= {edge.pre} & set(graph.of(AvgPool2d))
    return found


def _divided(node: Node, size: int) -> Node:
    assert isinstance(node, (Linear, Conv2d))
    weight = scaled(replace(node, bias=None), np.asarray(1.0 / size))
    assert isinstance(weight, (Linear, Conv2d))
    return replace(weight, bias=node.bias)

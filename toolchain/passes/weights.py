"""Weights that drive each neuron layer, and their scaling: shared by the passes that scale layers.

Scaling a neuron layer's weights, biases and thresholds by one factor does not change its spikes,
because its outputs are unit events. The weights may only be scaled if every path from them ends in
that layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import (
    Add,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Flatten,
    Graph,
    Identity,
    Linear,
    Membrane,
    Node,
    SumPool2d,
)

__all__ = ["WEIGHTS", "scalable", "scaled", "to_rows", "weights_of"]

WEIGHTS = (Linear, Conv1d, Conv2d)
TRANSPARENT = (Add, SumPool2d, AvgPool2d, Flatten, Identity)


def weights_of(graph: Graph, neuron: str) -> tuple[str, ...] | None:
    """Return the names of all weights whose sum drives layer ``neuron``, sorted.

    None if the layer's input is not a sum of weights only, or if one of them also drives another
    layer.
    """
    names = _ends(neuron, lambda name: [edge.pre for edge in graph.pre(name)], graph)
    if not all(isinstance(graph[name], WEIGHTS) for name in names):
        return None
    for name in names:
        if _ends(name, lambda name: [edge.post for edge in graph.post(name)], graph) != {neuron}:
            return None
    return tuple(sorted(names))


def _ends(start: str, onward: Callable[[str], list[str]], graph: Graph) -> set[str]:
    """Return the first nodes from ``start``, in direction ``onward``, that are not transparent."""
    seen: set[str] = set()
    waiting = onward(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += onward(name) if isinstance(graph[name], TRANSPARENT) else []
    return {name for name in seen if not isinstance(graph[name], TRANSPARENT)}


def to_rows(neuron: Membrane, factor: Array) -> Array:
    """Return a factor of each neuron as a factor of each row of the weights that drive it.

    ``factor`` is a scalar or of the layer's shape; with several synapses a neuron, the rows of one
    neuron are adjacent.
    """
    factor = np.asarray(factor)
    if neuron.synapses < 2 or factor.ndim == 0:
        return factor
    return np.repeat(np.broadcast_to(factor, neuron.shape).ravel(), neuron.synapses)


def scaled(node: Node, factor: Array) -> Node:
    """Multiply a weight by ``factor``: a scalar, or one number per output (or output channel).

    Raises:
        ValueError: ``factor`` differs within one channel of a convolution.
    """
    assert isinstance(node, WEIGHTS)
    per_output = _per_output(node, np.asarray(factor, dtype=np.float64))
    weight = node.weight * per_output.reshape(-1, *(1,) * (node.weight.ndim - 1))
    bias = None if node.bias is None else node.bias * per_output
    return replace(node, weight=weight, bias=bias)


def scalable(node: Node, factor: Array) -> bool:
    """Return whether ``scaled`` accepts ``factor``: one number for each whole output channel."""
    assert isinstance(node, WEIGHTS)
    if len(np.atleast_1d(factor)) not in (1, len(node.weight)):
        return False
    rows = factor.reshape(len(factor), -1) if factor.ndim > 1 else np.zeros((1, 1))
    return bool(np.all(rows == rows[:, :1]))


def _per_output(node: Linear | Conv1d | Conv2d, factor: Array) -> Array:
    outputs = node.weight.shape[0]
    if factor.ndim <= 1:
        return np.broadcast_to(factor, (outputs,))
    rows = np.broadcast_to(factor, (outputs, *factor.shape[1:])).reshape(outputs, -1)
    if not np.all(rows == rows[:, :1]):
        raise ValueError("the factor differs within one output channel")
    return rows[:, 0]

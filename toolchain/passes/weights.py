"""Which weights drive which neurons, and scaling them: shared by the passes that rescale layers.

Scaling a neuron layer's weights, biases and thresholds by one factor leaves its spikes as they
are, because what leaves it are unit events. The weights may only be scaled where every path from
them ends in that layer.
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

__all__ = ["scalable", "scaled", "to_rows", "weights_of"]

WEIGHTS = (Linear, Conv1d, Conv2d)
TRANSPARENT = (Add, SumPool2d, AvgPool2d, Flatten, Identity)


def weights_of(graph: Graph, neuron: str) -> tuple[str, ...] | None:
    """Names of all weights whose sum drives layer ``neuron``, sorted.

    None where the layer's drive is not a sum of weights alone, or where one of them also drives
    something else.
    """
    found = _ends(neuron, lambda name: [edge.pre for edge in graph.pre(name)], graph)
    if not all(isinstance(graph[name], WEIGHTS) for name in found):
        return None
    for name in found:
        if _ends(name, lambda name: [edge.post for edge in graph.post(name)], graph) != {neuron}:
            return None
    return tuple(sorted(found))


def _ends(start: str, onward: Callable[[str], list[str]], graph: Graph) -> set[str]:
    """The first nodes from ``start`` on, ``onward`` each, that are not transparent."""
    seen: set[str] = set()
    waiting = onward(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += onward(name) if isinstance(graph[name], TRANSPARENT) else []
    return {name for name in seen if not isinstance(graph[name], TRANSPARENT)}


def to_rows(neuron: Membrane, factor: Array) -> Array:
    """A factor of each neuron as a factor of each row of the weights that drive it.

    ``factor`` is a scalar or of the layer's shape; with several synapses a neuron, the rows of one
    neuron lie side by side.
    """
    factor = np.asarray(factor)
    if neuron.synapses < 2 or factor.ndim == 0:
        return factor
    return np.repeat(np.broadcast_to(factor, neuron.shape).ravel(), neuron.synapses)


def scaled(node: Node, factor: Array) -> Node:
    """A weight times ``factor``: a scalar, or one number per output (or output channel).

    Raises:
        ValueError: ``factor`` differs within one channel of a convolution.
    """
    assert isinstance(node, WEIGHTS)
    per_output = _per_output(node, np.asarray(factor, dtype=np.float64))
    weight = node.weight * per_output.reshape(-1, *(1,) * (node.weight.ndim - 1))
    bias = None if node.bias is None else node.bias * per_output
    return replace(node, weight=weight, bias=bias)


def scalable(node: Node, factor: Array) -> bool:
    """Whether ``scaled`` can: whether ``factor`` is the same all over each output channel."""
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

"""Which weights drive which neurons, and scaling them: shared by the passes that rescale layers.

Scaling a neuron layer's weights, biases and thresholds by one factor leaves its spikes as they
are, because what leaves it are unit events. The weights may only be scaled where every path from
them ends in that layer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.ir import (
    Add,
    Array,
    AvgPool2d,
    Conv2d,
    Flatten,
    Graph,
    Identity,
    Linear,
    Membrane,
    Node,
    SumPool2d,
)

__all__ = ["scaled", "to_rows", "weights_of"]

WEIGHTS = (Linear, Conv2d)
TRANSPARENT = (Add, SumPool2d, AvgPool2d, Flatten, Identity)


def weights_of(graph: Graph, neuron: str) -> tuple[str, ...] | None:
    """Names of all weights whose sum drives layer ``neuron``, sorted.

    None where the layer's drive is not a sum of weights alone, or where one of them also drives
    something else.
    """
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [edge.pre for edge in graph.pre(neuron)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if isinstance(graph[name], WEIGHTS):
            found.add(name)
        elif isinstance(graph[name], TRANSPARENT):
            waiting += [edge.pre for edge in graph.pre(name)]
        else:
            return None
    alone = all(_drives(graph, name) == {neuron} for name in found)
    return tuple(sorted(found)) if alone else None


def _drives(graph: Graph, weight: str) -> set[str]:
    """Names of everything that is not transparent and reached from ``weight``."""
    ends: set[str] = set()
    seen: set[str] = set()
    waiting = [edge.post for edge in graph.post(weight)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if isinstance(graph[name], TRANSPARENT):
            waiting += [edge.post for edge in graph.post(name)]
        else:
            ends.add(name)
    return ends


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


def _per_output(node: Linear | Conv2d, factor: Array) -> Array:
    outputs = node.weight.shape[0]
    if factor.ndim <= 1:
        return np.broadcast_to(factor, (outputs,))
    rows = np.broadcast_to(factor, (outputs, *factor.shape[1:])).reshape(outputs, -1)
    if not np.all(rows == rows[:, :1]):
        raise ValueError("the factor differs within one output channel")
    return rows[:, 0]

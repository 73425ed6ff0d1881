"""Neurons, channels and input channels removed, or put into another order.

A feature that goes is removed everywhere: the rows of the weights that drive it, its threshold,
time constants and bias, and the columns of the weights that read it, recurrent ones included. The
order of the neurons that are left is free, so the same rewrite renumbers a layer, which is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, TypeVar

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir import (
    Add,
    AvgPool2d,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Membrane,
    Neuron,
    Node,
    Output,
    SumPool2d,
)
from toolchain.passes.weights import WEIGHTS, weights_of

__all__ = ["feature_strengths", "features_of", "keep_features", "strongest"]

M = TypeVar("M", bound=Membrane)

PASSING = (SumPool2d, AvgPool2d, Identity)


def keep_features(graph: Graph, name: str, order: Sequence[int] | Array) -> Graph | None:
    """Return the network with the features ``order`` of a layer or of the input, in that order.

    A feature is a neuron of a dense layer, or a whole channel of a layer on maps.

    Returns:
        The network; None where a feature cannot be removed alone: it is an output of the network,
        is summed with those of other layers, or is read by a grouped convolution.

    >>> import numpy as np
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> nodes = {"input": Input(shape=(2,)), "fc1": Linear(weight=np.arange(6.0).reshape(3, 2))}
    >>> nodes |= {"lif1": Neuron(shape=(3,), v_threshold=[1.0, 2.0, 3.0])}
    >>> nodes |= {"fc2": Linear(weight=[[1.0, 2.0, 3.0]]), "output": Output()}
    >>> smaller = keep_features(Graph.chain(nodes), "lif1", [2, 0])
    >>> smaller["lif1"].v_threshold.tolist(), smaller["fc2"].weight.tolist()
    ([3.0, 1.0], [[3.0, 1.0]])
    """
    chosen = np.asarray(order, dtype=np.int64)
    node = graph[name]
    if isinstance(node, Input):
        own: dict[str, Node] | None = {name: Input(shape=(len(chosen), *node.shape[1:]))}
    else:
        own = _driving(graph, name, chosen)
    reading = _reading(graph, name, graph.shape(name), chosen)
    if own is None or reading is None:
        return None
    # a recurrent weight loses rows and columns
    both = own.keys() & reading.keys()
    changes = own | reading
    for weight in both:
        first = own[weight]
        changes[weight] = _columns(first, chosen, graph.shape(name))
    return graph.replace(changes)


def _driving(graph: Graph, name: str, order: Array) -> dict[str, Node] | None:
    """Return the layer and the weights that drive it, with the features ``order`` alone."""
    layer, weights = graph[name], weights_of(graph, name)
    if not isinstance(layer, Membrane) or weights is None or name in graph.outputs:
        return None
    changes: dict[str, Node] = {name: features_of(layer, order)}
    synapses = max(1, layer.synapses) if len(layer.shape) == 1 else 1
    rows = (order[:, None] * synapses + np.arange(synapses)).ravel()
    for weight in weights:
        node = graph[weight]
        assert isinstance(node, WEIGHTS)
        if isinstance(node, Linear) and len(layer.shape) > 1:
            return None
        if not isinstance(node, Linear) and node.groups != 1:
            return None
        bias = None if node.bias is None else node.bias[rows]
        changes[weight] = replace(node, weight=node.weight[rows], bias=bias)
    return changes


def features_of(layer: M, order: Array) -> M:
    """Return the layer with the neurons or channels ``order``."""
    size, axes = layer.shape[0], len(layer.shape)
    changes: dict[str, Any] = {"shape": (len(order), *layer.shape[1:])}
    for name in layer.ARRAYS:
        value = getattr(layer, name)
        wide = axes + 1 if name == "alpha_syn" else axes
        if value is not None and value.ndim == wide and value.shape[0] == size:
            changes[name] = value[order] if size > 1 or len(order) == size else value
    return replace(layer, **changes)


def _reading(graph: Graph, name: str, shape: Shape, order: Array) -> dict[str, Node] | None:
    """Return the weights that read ``name``, with the features ``order``; None if one cannot."""
    changes: dict[str, Node] = {}
    for edge in graph.post(name):
        node = graph[edge.post]
        if isinstance(node, WEIGHTS):
            if not isinstance(node, Linear) and node.groups != 1:
                return None
            changes[edge.post] = _columns(node, order, shape)
            continue
        if isinstance(node, PASSING):
            further = _reading(graph, edge.post, graph.shape(edge.post), order)
        elif isinstance(node, Flatten):
            ids = np.arange(prod(shape)).reshape(shape)[order].ravel()
            further = _reading(graph, edge.post, graph.shape(edge.post), ids)
        else:
            further = None
        if further is None:
            return None
        changes |= further
    return changes


def _columns(node: Node, order: Array, shape: Shape) -> Node:
    assert isinstance(node, WEIGHTS)
    assert node.weight.shape[1] == shape[0]
    return replace(node, weight=node.weight[:, order])


def feature_strengths(graph: Graph, name: str) -> Array:
    """Return the strength of each neuron or channel of a layer, or of the input, (features,).

    The norm of the weights that drive a feature, in its thresholds, times the norm of those that
    read it; of the input only the latter.
    """
    read = _norms_read(graph, name, graph.shape(name), np.arange(graph.shape(name)[0]))
    layer = graph[name]
    if not isinstance(layer, Membrane):
        return read
    size, driven = layer.shape[0], np.zeros(layer.shape[0])
    for weight in weights_of(graph, name) or ():
        node = graph[weight]
        assert isinstance(node, WEIGHTS)
        driven += np.square(node.weight).reshape(size, -1).sum(axis=1)
    threshold = layer.v_threshold if isinstance(layer, Neuron) else np.ones(())
    by_feature = np.broadcast_to(threshold, layer.shape).reshape(size, -1).mean(axis=1)
    return np.asarray(np.sqrt(driven) / by_feature * read)


def _norms_read(graph: Graph, name: str, shape: Shape, owner: Array) -> Array:
    """Return the norm of the weights that read each feature; ``owner`` is that of each channel."""
    total = np.zeros(int(owner.max()) + 1)
    for edge in graph.post(name):
        node = graph[edge.post]
        if isinstance(node, WEIGHTS):
            squares = np.square(node.weight).sum(axis=(0, *range(2, node.weight.ndim)))
            np.add.at(total, owner[: len(squares)], squares)
        elif isinstance(node, Flatten):
            ids = np.repeat(owner, prod(shape[1:]))
            total += np.square(_norms_read(graph, edge.post, graph.shape(edge.post), ids))
        elif not isinstance(node, Output | Add):
            total += np.square(_norms_read(graph, edge.post, graph.shape(edge.post), owner))
    return np.asarray(np.sqrt(total))


def strongest(sizes: Array, most: int) -> Array:
    """Return the places of the ``most`` largest of ``sizes``, ascending; of equal ones the first.

    >>> strongest(np.array([0.5, 2.0, 1.0]), most=2).tolist()
    [1, 2]
    """
    return np.sort(np.argsort(-sizes, kind="stable")[:most])

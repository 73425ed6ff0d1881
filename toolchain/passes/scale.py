"""Factors on features, moved into an adjacent weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Flatten, Graph, Linear, Node, Scale, SumPool2d
from toolchain.passes.weights import WEIGHTS, scaled

__all__ = ["fold_scale"]


def fold_scale(graph: Graph) -> Graph:
    """Move each ``Scale`` into an adjacent weight and remove it.

    Tried in this order: the weight before it, if that feeds only the scale; the weights after it,
    through pools and flattening, if these paths end only in weights.

    Requires: a factor that is the same in a whole channel, if a convolution or a pool reads it.
    A ``Scale`` that no weight can absorb stays.
    Ensures: the response is unchanged in exact arithmetic.

    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(1,)), "half": Scale(scale=0.5), "fc": Linear(weight=[[3.0]])}
    >>> graph = fold_scale(Graph.chain({**nodes, "output": Output()}))
    >>> list(graph.nodes), graph["fc"].weight.tolist()
    (['input', 'fc', 'output'], [[1.5]])
    """
    for name, node in graph.of(Scale).items():
        factor = np.broadcast_to(node.scale, graph.shape(name))
        changes = _before(graph, name, factor) or _behind(graph, name, factor)
        if changes:
            graph = graph.replace(changes).drop(name)
    return graph


def _before(graph: Graph, name: str, factor: Array) -> dict[str, Node] | None:
    (edge,) = graph.pre(name)
    weight = graph[edge.pre]
    if not isinstance(weight, WEIGHTS) or graph.after(edge.pre) != name:
        return None
    rows = _per_channel(factor)
    return None if rows is None else {edge.pre: scaled(weight, rows)}


def _behind(graph: Graph, name: str, factor: Array) -> dict[str, Node] | None:
    """Return the weights that read the features, times the factor; None if one cannot absorb it."""
    changes: dict[str, Node] = {}
    for edge in graph.post(name):
        node = graph[edge.post]
        if isinstance(node, (Flatten, SumPool2d)):
            passed = _passed_on(node, factor, graph.shape(edge.post))
            more = None if passed is None else _behind(graph, edge.post, passed)
        else:
            weight = _absorbed(node, factor)
            more = None if weight is None else {edge.post: weight}
        if more is None:
            return None
        changes |= more
    return changes


def _passed_on(node: Flatten | SumPool2d, factor: Array, shape: tuple[int, ...]) -> Array | None:
    """Return the factor after a layer of output ``shape``; None if a window has several factors."""
    if isinstance(node, Flatten):
        return factor.reshape(shape)
    channels = _per_channel(factor)
    return None if channels is None else np.broadcast_to(channels[:, None, None], shape)


def _absorbed(node: Node, factor: Array) -> Node | None:
    """Return ``node`` with the factor of its input features in its weights; None if impossible."""
    channels = _per_channel(factor) if isinstance(node, WEIGHTS) else None
    if channels is None or not isinstance(node, WEIGHTS):
        return None
    if isinstance(node, Linear):
        return replace(node, weight=node.weight * channels)
    by_group = np.repeat(channels.reshape(node.groups, -1), len(node.weight) // node.groups, axis=0)
    axes = (1,) * (node.weight.ndim - 2)
    return replace(node, weight=node.weight * by_group.reshape(*by_group.shape, *axes))


def _per_channel(factor: Array) -> Array | None:
    """Return the factor of each channel; None if it differs within a channel."""
    rows = factor.reshape(len(factor), -1)
    return rows[:, 0] if np.all(rows == rows[:, :1]) else None

"""Factors on features, moved into a weight beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Conv1d, Conv2d, Flatten, Graph, Linear, Node, Scale, SumPool2d
from toolchain.passes.weights import scaled

__all__ = ["fold_scale"]

WEIGHTS = (Linear, Conv1d, Conv2d)


def fold_scale(graph: Graph) -> Graph:
    """Without the ``Scale`` nodes that a weight beside them can take in.

    Tried in this order: the weight before it, if that feeds nothing else; the weights behind it,
    through pools and flattening, if nothing but weights is reached.

    Requires: a factor that is the same all over a channel, where a convolution or a pool reads
    it. A ``Scale`` for which no weight can take it is left as it is.
    Ensures: the response is unchanged in exact arithmetic.
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
    """All weights that read the scaled features, having taken the factor in; None if one cannot."""
    changes: dict[str, Node] = {}
    for edge in graph.post(name):
        node = graph[edge.post]
        if isinstance(node, (Flatten, SumPool2d)):
            passed = _passed_on(node, factor, graph.shape(edge.post))
            more = None if passed is None else _behind(graph, edge.post, passed)
        else:
            made = _taken_in(node, factor)
            more = None if made is None else {edge.post: made}
        if more is None:
            return None
        changes |= more
    return changes


def _passed_on(node: Flatten | SumPool2d, factor: Array, shape: tuple[int, ...]) -> Array | None:
    """The factor behind a layer of that output ``shape``; None where a window has several."""
    if isinstance(node, Flatten):
        return factor.reshape(shape)
    channels = _per_channel(factor)
    return None if channels is None else np.broadcast_to(channels[:, None, None], shape)


def _taken_in(node: Node, factor: Array) -> Node | None:
    """``node`` reading features that are not scaled yet."""
    channels = _per_channel(factor) if isinstance(node, WEIGHTS) else None
    if channels is None or not isinstance(node, WEIGHTS):
        return None
    if isinstance(node, Linear):
        return replace(node, weight=node.weight * channels)
    by_group = np.repeat(channels.reshape(node.groups, -1), len(node.weight) // node.groups, axis=0)
    axes = (1,) * (node.weight.ndim - 2)
    return replace(node, weight=node.weight * by_group.reshape(*by_group.shape, *axes))


def _per_channel(factor: Array) -> Array | None:
    """The factor of each channel; None where it differs within one."""
    rows = factor.reshape(len(factor), -1)
    return rows[:, 0] if np.all(rows == rows[:, :1]) else None

"""Factors on features, moved into a weight or a neuron beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.ir import Array, Conv1d, Conv2d, Graph, Linear, Membrane, Node, Scale, Shape
from toolchain.passes.weights import scaled

__all__ = ["fold_scale"]

WEIGHTS = (Linear, Conv1d, Conv2d)


def fold_scale(graph: Graph) -> Graph:
    """Without the ``Scale`` nodes that a neighbour can take in.

    Tried in this order: the weight before it, if that feeds nothing else; the weights behind it,
    if nothing else does; the gains of the neurons behind it, likewise, if they have one synapse
    at most.

    Requires: a factor that is the same all over a channel, where a convolution takes it in. A
    ``Scale`` for which no neighbour can is left as it is.
    Ensures: the response is unchanged in exact arithmetic.
    """
    for name, node in graph.of(Scale).items():
        changes = _before(graph, name, node) or _behind(graph, name, node)
        if changes:
            graph = graph.replace(changes).drop(name)
    return graph


def _before(graph: Graph, name: str, node: Scale) -> dict[str, Node]:
    (edge,) = graph.pre(name)
    weight = graph[edge.pre]
    if not isinstance(weight, WEIGHTS) or graph.after(edge.pre) != name:
        return {}
    factor = np.broadcast_to(node.scale, graph.shape(edge.pre))
    rows = _per_channel(factor)
    return {} if rows is None else {edge.pre: scaled(weight, rows)}


def _behind(graph: Graph, name: str, node: Scale) -> dict[str, Node]:
    """All that read the scaled features, having taken the factor in; nothing if one cannot."""
    changes: dict[str, Node] = {}
    factor = np.broadcast_to(node.scale, graph.shape(name))
    for edge in graph.post(name):
        made = _taken_in(graph[edge.post], factor, graph.shape(edge.post))
        if made is None:
            return {}
        changes[edge.post] = made
    return changes


def _taken_in(node: Node, factor: Array, shape: Shape) -> Node | None:
    """``node`` reading features that are not scaled yet."""
    if isinstance(node, Membrane):
        plain = node.synapses <= 1
        return replace(node, gain=_plainest(node.gain * factor)) if plain else None
    if not isinstance(node, WEIGHTS):
        return None
    channels = _per_channel(factor)
    if channels is None:
        return None
    if isinstance(node, Linear):
        return replace(node, weight=node.weight * channels)
    by_group = np.repeat(channels.reshape(node.groups, -1), len(node.weight) // node.groups, axis=0)
    return replace(
        node, weight=node.weight * by_group.reshape(*by_group.shape, *(1,) * len(shape[1:]))
    )


def _per_channel(factor: Array) -> Array | None:
    """The factor of each channel; None where it differs within one."""
    rows = factor.reshape(len(factor), -1)
    return rows[:, 0] if np.all(rows == rows[:, :1]) else None


def _plainest(values: Array) -> Array:
    """One number where all are the same."""
    return values if np.any(values != values.flat[0]) else values.reshape(-1)[0]

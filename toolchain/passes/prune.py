"""Weights removed by magnitude: set to exactly 0, which training respects as structure.

A connection's strength is the magnitude of its weight in thresholds of the neuron that it drives,
so that layers of different scale can be compared; of several synapses the strongest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph, Linear, Membrane, Neuron
from toolchain.passes.weights import WEIGHTS, weights_of

__all__ = [
    "largest_of_all",
    "largest_of_columns",
    "number_of_weights",
    "prune_weights",
    "strengths",
]


def prune_weights(graph: Graph, kept: Mapping[str, Array]) -> Graph:
    """Set the weights that are not kept to 0.

    Args:
        graph: the network; biases are not changed.
        kept: by name of a weight, bool of a shape that broadcasts to its own.

    >>> import numpy as np
    >>> from toolchain.ir import Input, Output
    >>> fc = Linear(weight=[[0.5, -0.25], [0.0, 1.0]])
    >>> graph = Graph.chain({"input": Input(shape=(2,)), "fc": fc, "output": Output()})
    >>> pruned = prune_weights(graph, {"fc": largest_of_all(np.abs(fc.weight), most=2)})
    >>> pruned["fc"].weight.tolist()
    [[0.5, 0.0], [0.0, 1.0]]
    """
    changes = {}
    for name, mask in kept.items():
        node = graph[name]
        assert isinstance(node, WEIGHTS)
        changes[name] = replace(node, weight=np.where(mask, node.weight, 0.0))
    return graph.replace(changes)


def strengths(graph: Graph, weight: str) -> Array:
    """Return the strength of each connection of a dense weight, (neurons, inputs).

    Args:
        graph: the network.
        weight: name of a ``Linear``; where it drives no layer of its own, its outputs count as
            neurons with a threshold of 1.
    """
    node = graph[weight]
    assert isinstance(node, Linear)
    driven = next((n for n in graph.of(Membrane) if weight in (weights_of(graph, n) or ())), None)
    layer = None if driven is None else graph[driven]
    synapses = layer.synapses if isinstance(layer, Membrane) else 1
    sizes = np.abs(node.weight)
    if synapses > 1:
        sizes = sizes.reshape(-1, synapses, sizes.shape[1]).max(axis=1)
    if not isinstance(layer, Neuron):
        return np.asarray(sizes)
    return np.asarray(sizes / np.broadcast_to(layer.v_threshold, layer.shape).reshape(-1, 1))


def largest_of_all(sizes: Array, most: int) -> Array:
    """Return which of ``sizes`` are the ``most`` largest above 0; of equal ones the first.

    >>> largest_of_all(np.array([[3.0, 1.0], [0.0, 2.0]]), most=2).tolist()
    [[True, False], [False, True]]
    """
    order = np.argsort(-sizes, axis=None, kind="stable")[: max(0, most)]
    kept = np.zeros(sizes.size, dtype=bool)
    kept[order] = True
    return np.asarray(kept.reshape(sizes.shape) & (sizes > 0))


def largest_of_columns(sizes: Array, most: int) -> Array:
    """Return which of ``sizes`` are among the ``most`` largest above 0 of their column.

    Args:
        sizes: (targets, sources).
        most: number kept of each source; of equal ones the first are kept.
    """
    ranks = np.argsort(np.argsort(-sizes, axis=0, kind="stable"), axis=0)
    return np.asarray((ranks < most) & (sizes > 0))


def number_of_weights(graph: Graph, names: Iterable[str] | None = None) -> int:
    """Return the number of weights that are not 0, of all layers or of those named."""
    chosen = graph.nodes if names is None else names
    weights = (graph[name] for name in chosen)
    return sum(int(np.count_nonzero(node.weight)) for node in weights if isinstance(node, WEIGHTS))

"""Removal of synapses that no weight reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph, Linear, Membrane, Node
from toolchain.passes.weights import weights_of

__all__ = ["drop_empty_synapses"]


def drop_empty_synapses(graph: Graph) -> Graph:
    """Remove the synapses of each layer that have no weight and no bias in any neuron.

    Where neurons of one layer use different synapses, the used ones come first, so that the layer
    keeps as many as its neurons use at once. A layer without any weight keeps one.

    Requires: layers that dense weights of their own drive; others are not changed.
    Ensures: the response is unchanged, exactly.

    >>> from toolchain.ir import Input, Neuron, Output
    >>> lif = Neuron(shape=(1,), v_threshold=1.0, alpha_syn=[0.5, 0.75])
    >>> nodes = {"input": Input(shape=(1,)), "fc": Linear(weight=[[0.0], [2.0]]), "lif": lif}
    >>> graph = drop_empty_synapses(Graph.chain({**nodes, "output": Output()}))
    >>> graph["fc"].weight.tolist(), graph["lif"].alpha_syn.ravel().tolist()
    ([[2.0]], [0.75])
    """
    for name, node in graph.of(Membrane).items():
        if node.synapses < 2:
            continue
        weights = {w: graph[w] for w in weights_of(graph, name) or ()}
        dense = {w: each for w, each in weights.items() if isinstance(each, Linear)}
        if dense and len(dense) == len(weights):
            graph = graph.replace(_packed(name, node, dense))
    return graph


def _packed(name: str, node: Membrane, weights: dict[str, Linear]) -> dict[str, Node]:
    """Return a layer and its weights with as many synapses as its neurons use at once."""
    synapses = node.synapses
    used = np.zeros((int(np.prod(node.shape)), synapses), bool)
    for linear in weights.values():
        used |= _by_synapse(linear.weight, synapses).any(axis=2)
        if linear.bias is not None:
            used |= linear.bias.reshape(-1, synapses) != 0
    kept = max(1, int(used.sum(axis=1).max(initial=0)))
    if kept == synapses:
        return {}
    # the used ones of each neuron, in their order
    order = np.argsort(~used, axis=1, kind="stable")[:, :kept]
    assert node.alpha_syn is not None
    alpha = np.broadcast_to(node.alpha_syn, (*node.shape, synapses)).reshape(-1, synapses)
    alpha = np.take_along_axis(alpha, order, axis=1)
    same = bool((alpha == alpha[:1]).all())
    changes: dict[str, Node] = {
        name: replace(node, alpha_syn=alpha[0] if same else alpha.reshape(*node.shape, kept))
    }
    for weight, each in weights.items():
        rows = np.take_along_axis(_by_synapse(each.weight, synapses), order[..., None], axis=1)
        bias = None
        if each.bias is not None:
            values = each.bias.reshape(-1, synapses)
            bias = np.take_along_axis(values, order, axis=1).ravel()
        changes[weight] = replace(each, weight=rows.reshape(-1, each.weight.shape[1]), bias=bias)
    return changes


def _by_synapse(rows: Array, synapses: int) -> Array:
    """Return rows of a weight as (neurons, synapses, columns)."""
    return rows.reshape(-1, synapses, rows.shape[1])

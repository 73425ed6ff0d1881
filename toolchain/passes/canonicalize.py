"""One form for layers that frameworks write in several ways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir import (
    Flatten,
    Graph,
    Identity,
    Input,
    Membrane,
    Node,
    Output,
    Pad,
    Permute,
    Reshape,
    SumPool2d,
)
from toolchain.passes.weights import scalable, scaled, to_rows, weights_of

__all__ = ["drop_identities", "fold_gain"]


def drop_identities(graph: Graph) -> Graph:
    """Remove the layers that do nothing at inference.

    These are dropout and identity, pools of single pixels, and reshapes, permutations and pads
    that leave the features as they are.

    Ensures: none of them remains, except where a sum would then read one node twice; the response
    is unchanged, exactly.

    >>> from toolchain.ir import Input, Linear, Output
    >>> nodes = {"input": Input(shape=(2,)), "drop": Identity(was="Dropout")}
    >>> nodes |= {"fc": Linear(weight=[[1.0, 2.0]]), "output": Output()}
    >>> list(drop_identities(Graph.chain(nodes)).nodes)
    ['input', 'fc', 'output']
    """
    for name, node in graph.nodes.items():
        if isinstance(node, (Input, Output)) or not _does_nothing(node, graph.input_shape_of(name)):
            continue
        beside = {edge.post for edge in graph.post(graph.before(name))}
        if beside.isdisjoint(edge.post for edge in graph.post(name)):
            graph = graph.drop(name)
    return graph


def _does_nothing(node: Node, shape: Shape) -> bool:
    """Return whether a node that reads ``shape`` returns what it reads."""
    if isinstance(node, SumPool2d):
        return node.kernel == node.stride == (1, 1)
    if isinstance(node, Pad):
        return not any((*node.before, *node.after))
    if isinstance(node, Permute):
        return node.axes == (*range(len(shape)),)
    same = isinstance(node, (Flatten, Reshape)) and node.output_shape(shape) == shape
    return same or isinstance(node, Identity)


def fold_gain(graph: Graph) -> Graph:
    """Move gains and the order of synaptic decay into the weights that drive each neuron.

    ``i = a i + x`` is ``i = a (i + x / a)``, and a gain on the current is a gain on the weights.

    Requires: weights that feed only that neuron layer, and factors that are the same in a whole
    channel of a convolution; other layers are not changed.
    Ensures: the neurons have gain 1 and ``syn_order="add_decay"``; the spikes are unchanged in
    exact arithmetic (except for rounding of float64); ``i_syn`` is scaled by the gain.

    >>> from toolchain.ir import Input, Linear, Neuron, Output
    >>> nodes = {"input": Input(shape=(1,)), "fc": Linear(weight=[[3.0]])}
    >>> nodes |= {"lif": Neuron(shape=(1,), v_threshold=1.0, gain=0.5), "output": Output()}
    >>> graph = fold_gain(Graph.chain(nodes))
    >>> graph["fc"].weight.tolist(), graph["lif"].gain.item()
    ([[1.5]], 1.0)
    """
    for name, node in graph.of(Membrane).items():
        weights = weights_of(graph, name)
        if weights is None or not _needs_folding(node):
            continue
        factor = _factor(node)
        if not all(scalable(graph[w], factor) for w in weights):
            continue
        changes: dict[str, Node] = {w: scaled(graph[w], factor) for w in weights}
        changes[name] = replace(node, gain=np.ones(()), syn_order="add_decay")
        graph = graph.replace(changes)
    return graph


def _needs_folding(node: Membrane) -> bool:
    if _adds_late(node) and np.any(node.alpha_syn == 0):
        return False
    return _adds_late(node) or bool(np.any(node.gain != 1))


def _adds_late(node: Membrane) -> bool:
    return node.syn_order == "decay_add" and node.alpha_syn is not None


def _factor(node: Membrane) -> Array:
    """Return the factor of each row of the weights; a row is a synapse of a neuron."""
    factor = to_rows(node, node.gain)
    if not _adds_late(node) or node.alpha_syn is None:
        return factor
    if node.synapses == 1:
        return np.asarray(factor / node.alpha_syn[..., 0])
    each = np.broadcast_to(node.alpha_syn, (*node.shape, node.synapses)).reshape(-1)
    return np.asarray(factor / each)

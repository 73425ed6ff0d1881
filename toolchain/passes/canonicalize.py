"""One form for what frameworks write in several ways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Flatten, Graph, Identity, Membrane, Node
from toolchain.passes.weights import scalable, scaled, to_rows, weights_of

__all__ = ["drop_identities", "fold_gain"]


def drop_identities(graph: Graph) -> Graph:
    """Without the layers that do nothing at inference: dropout, identity, flatten of a row.

    Ensures: no ``Identity`` and no ``Flatten`` of one-dimensional features is left; the response
    is unchanged, exactly.
    """
    for name, node in graph.nodes.items():
        flat = isinstance(node, Flatten) and len(graph.input_shape_of(name)) == 1
        if isinstance(node, Identity) or flat:
            graph = graph.drop(name)
    return graph


def fold_gain(graph: Graph) -> Graph:
    """Neurons with gain 1 that add before they decay; the factors move into their weights.

    ``i = a i + x`` is ``i = a (i + x / a)``, and a gain on the current is a gain on the weights.

    Requires: weights that feed that neuron layer alone, and factors that are the same all over a
    channel of a convolution; other layers are left as they are.
    Ensures: the spikes are unchanged in exact arithmetic (rounding of float64 aside); ``i_syn``
    is scaled by the gain.
    """
    for name, node in graph.of(Membrane).items():
        found = weights_of(graph, name)
        if found is None or not _needs_folding(node):
            continue
        factor = _factor(node)
        if not all(scalable(graph[w], factor) for w in found):
            continue
        changes: dict[str, Node] = {w: scaled(graph[w], factor) for w in found}
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
    """What each row of the weights is multiplied by; a row for each synapse of each neuron."""
    factor = to_rows(node, node.gain)
    if not _adds_late(node) or node.alpha_syn is None:
        return factor
    if node.synapses == 1:
        return np.asarray(factor / node.alpha_syn[..., 0])
    each = np.broadcast_to(node.alpha_syn, (*node.shape, node.synapses)).reshape(-1)
    return np.asarray(factor / each)

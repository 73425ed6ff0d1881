"""Biases of weights, moved to the neurons behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Add, Graph, Linear, Membrane, Node
from toolchain.passes.weights import weights_of

__all__ = ["carry_bias", "settled"]


def carry_bias(graph: Graph, *, settle: bool = False) -> Graph:
    """Biases of dense weights as biases of the neurons that they drive.

    Where no synapse lies between, ``gain * (W x + b)`` is ``gain * W x + gain * b``.

    Args:
        graph: any; weights that also drive something else are left as they are.
        settle: also move biases that pass a synapse, as the current that they settle at
            (:func:`settled`), and those that act later than the first timestep.

    Ensures: exact in exact arithmetic, unless ``settle``; then the same once synapses have
    filled. A bias that never settles stays.
    """
    for name, node in graph.of(Membrane).items():
        biases, delay = _biases(graph, name)
        if not biases or (not settle and (delay or node.synapses)):
            continue
        current = settled(node, np.sum(list(biases.values()), axis=0))
        if not np.all(np.isfinite(current)):
            continue
        dense = graph.of(Linear)
        changes: dict[str, Node] = {w: replace(dense[w], bias=None) for w in biases}
        changes[name] = replace(node, bias=node.bias + node.gain * current)
        graph = graph.replace(changes)
    return graph


def settled(node: Membrane, drive: Array) -> Array:
    r"""The current of each neuron in the end, under a constant ``drive`` (neurons * synapses,).

    The drive itself without a synapse; through one of factor :math:`\alpha`

    .. math:: i = \alpha (i + b) \Rightarrow i = \frac{\alpha}{1 - \alpha} b, \qquad
              i = \alpha i + b \Rightarrow i = \frac{1}{1 - \alpha} b;

    infinite where it never settles.
    """
    if node.alpha_syn is None:
        return drive
    each = drive.reshape(*node.shape, node.synapses)
    factor = node.alpha_syn if node.syn_order == "add_decay" else np.ones(())
    current = np.where(each == 0, 0.0, np.inf)
    still = 1 - np.broadcast_to(node.alpha_syn, each.shape)
    np.divide(each * factor, still, out=current, where=still > 0)
    return np.asarray(current.sum(axis=-1))


def _biases(graph: Graph, neuron: str) -> tuple[dict[str, Array], int]:
    """The biases that drive layer ``neuron``, by weight, and the longest delay on their way.

    None of them where something else than sums lies between, or where one drives more than this.
    """
    ways = list(_ways(graph, neuron))
    dense = all(isinstance(graph[name], Linear) for name, _ in ways)
    if not dense or weights_of(graph, neuron) is None:
        return {}, 0
    found: dict[str, Array] = {}
    delays = [0]
    for name, delay in ways:
        node = graph[name]
        assert isinstance(node, Linear)
        if node.bias is not None and np.any(node.bias):
            found[name] = found.get(name, np.zeros(())) + node.bias
            delays.append(delay)
    return found, max(delays)


def _ways(graph: Graph, name: str, passed: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """What feeds ``name``, once for each way through sums, with the delay on that way.

    A sum that feeds itself is given as it is.
    """
    for edge in graph.pre(name):
        if isinstance(graph[edge.pre], Add) and edge.pre not in passed:
            for source, delay in _ways(graph, edge.pre, (*passed, edge.pre)):
                yield source, delay + edge.delay
        else:
            yield edge.pre, edge.delay

"""Biases of weights, moved to the neurons that they drive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Add, Graph, Linear, Membrane, Node
from toolchain.passes.weights import weights_of

__all__ = ["carry_bias", "settled"]


def carry_bias(graph: Graph, *, settle: bool = False) -> Graph:
    """Move the biases of dense weights to the neurons that they drive.

    Without a synapse between them, ``gain * (W x + b)`` is ``gain * W x + gain * b``.

    Args:
        graph: any; weights that also drive another layer are not changed.
        settle: also move biases that pass a synapse, as the steady-state current
            (:func:`settled`), and those that act later than the first timestep.

    Ensures: the response is unchanged in exact arithmetic, unless ``settle``; then it is the same
    once the synapses are in the steady state. A bias without a steady state stays.

    >>> from toolchain.ir import Input, Neuron, Output
    >>> nodes = {"input": Input(shape=(1,)), "fc": Linear(weight=[[3.0]], bias=[0.25])}
    >>> nodes |= {"lif": Neuron(shape=(1,), v_threshold=1.0), "output": Output()}
    >>> graph = carry_bias(Graph.chain(nodes))
    >>> graph["fc"].bias, graph["lif"].bias.tolist()
    (None, [0.25])
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
    r"""Return the steady-state current under a constant ``drive`` (neurons * synapses,).

    The drive itself without a synapse; through a synapse of decay factor :math:`\alpha`

    .. math:: i = \alpha (i + b) \Rightarrow i = \frac{\alpha}{1 - \alpha} b, \qquad
              i = \alpha i + b \Rightarrow i = \frac{1}{1 - \alpha} b;

    infinite if it has no steady state.
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
    """Return the biases that drive layer ``neuron``, by weight, and the longest delay on a path.

    No biases if a path has nodes other than sums, or if a weight also drives another layer.
    """
    sources = list(_sources(graph, neuron))
    dense = all(isinstance(graph[name], Linear) for name, _ in sources)
    if not dense or weights_of(graph, neuron) is None:
        return {}, 0
    biases: dict[str, Array] = {}
    delays = [0]
    for name, delay in sources:
        node = graph[name]
        assert isinstance(node, Linear)
        if node.bias is not None and np.any(node.bias):
            biases[name] = biases.get(name, np.zeros(())) + node.bias
            delays.append(delay)
    return biases, max(delays)


def _sources(graph: Graph, name: str, passed: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Yield the nodes that feed ``name``, once for each path through sums, with its delay.

    A sum that feeds itself is yielded itself.
    """
    for edge in graph.pre(name):
        if isinstance(graph[edge.pre], Add) and edge.pre not in passed:
            for source, delay in _sources(graph, edge.pre, (*passed, edge.pre)):
                yield source, delay + edge.delay
        else:
            yield edge.pre, edge.delay

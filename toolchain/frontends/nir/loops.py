"""Placement of the one-step delay of recurrent connections, which NIR leaves open.

In every framework the delay is one step. The edge that closes a loop is the one that returns to a
node which dominates the loop; in a loop with two entries it is ambiguous. The delay is put on
the edge that leaves the neuron, so that a bias of the recurrent weight acts from the first step on.
A loop with a ``Delay`` of at least one step needs no further delay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import networkx as nx

from toolchain.frontends.nir.neurons import NEURONS
from toolchain.frontends.nir.nodes import NirEdge, NirNode

__all__ = ["recurrent_edges", "recurrent_nodes"]


def recurrent_edges(
    nodes: Mapping[str, NirNode], edges: Collection[NirEdge], delay_nodes: Collection[str]
) -> set[NirEdge]:
    """Return the edges with a delay of one step.

    Args:
        nodes: nodes of the flattened graph.
        edges: edges of the flattened graph.
        delay_nodes: names of the ``Delay`` nodes of at least one step.

    Raises:
        ValueError: a loop with two entries.
    """
    start = next(name for name, node in nodes.items() if node.type == "Input")
    net: nx.DiGraph[str] = nx.DiGraph()
    net.add_nodes_from(nodes)
    net.add_edges_from((pre, post) for pre, post in edges if post not in delay_nodes)
    net.add_edges_from((start, name) for name in delay_nodes)
    dominators = _dominators(net, start)
    closing = [(pre, post) for pre, post in net.edges if post in dominators[pre]]
    rest = nx.DiGraph(net)
    rest.remove_edges_from(closing)
    if not nx.is_directed_acyclic_graph(rest):
        names = [str(edge[0]) for edge in nx.find_cycle(rest)]
        raise ValueError(
            f"the loop {' -> '.join([*names, names[0]])} is entered at more than one node, so "
            "the edge with the delay of one step is ambiguous; insert a Delay of one step"
        )
    return {_move_to_neuron(net, nodes, edge) for edge in closing}


def recurrent_nodes(nodes: Collection[str], edges: Collection[NirEdge]) -> set[str]:
    """Return the nodes whose output returns to them."""
    net: nx.DiGraph[str] = nx.DiGraph()
    net.add_nodes_from(nodes)
    net.add_edges_from(edges)
    parts = [part for part in nx.strongly_connected_components(net) if len(part) > 1]
    return set().union(*parts) | {pre for pre, post in edges if pre == post}


def _dominators(net: nx.DiGraph[str], start: str) -> dict[str, set[str]]:
    """Return, for each node, itself and the nodes on every path to it."""
    direct = nx.immediate_dominators(net, start)
    found: dict[str, set[str]] = {start: {start}}
    for name in net:
        chain = [name]
        while chain[-1] not in found:
            chain.append(direct[chain[-1]])
        for one, before in zip(reversed(chain[:-1]), reversed(chain[1:]), strict=True):
            found[one] = found[before] | {one}
    return found


def _move_to_neuron(net: nx.DiGraph[str], nodes: Mapping[str, NirNode], edge: NirEdge) -> NirEdge:
    """Move the delay closer to the neuron, through stateless layers that lead only there."""
    pre, post = edge
    while nodes[pre].type not in NEURONS:
        before = list(net.predecessors(pre))
        if len(before) != 1 or net.out_degree(pre) != 1 or nodes[pre].type in ("Input", "Delay"):
            return edge
        pre, post = before[0], pre
    return pre, post

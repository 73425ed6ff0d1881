"""Where the one timestep of a recurrent connection stands: NIR draws loops and does not say.

Every framework means one step. The edge that closes a loop is the one that returns to a node which
everything in the loop comes through; where a graph has a loop with two ways in, that is not
decided. The delay is put on the edge that leaves the neuron, so that a bias of the recurrent
weight acts from the first step on. A ``Delay`` of a step or more opens a loop by itself.
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
    """The edges that arrive one step later.

    Args:
        nodes, edges: a graph without graphs in it.
        held: names of the ``Delay`` nodes of a step or more.

    Raises:
        ValueError: a loop with two ways in.
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
            "which of its edges comes a step later is open; put a Delay of one step there"
        )
    return {_move_to_neuron(net, nodes, edge) for edge in closing}


def recurrent_nodes(nodes: Collection[str], edges: Collection[NirEdge]) -> set[str]:
    """The nodes whose output returns to them."""
    net: nx.DiGraph[str] = nx.DiGraph()
    net.add_nodes_from(nodes)
    net.add_edges_from(edges)
    parts = [part for part in nx.strongly_connected_components(net) if len(part) > 1]
    return set().union(*parts) | {pre for pre, post in edges if pre == post}


def _dominators(net: nx.DiGraph[str], start: str) -> dict[str, set[str]]:
    """For each node, itself and every node that all ways to it pass."""
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
    """The same delay nearer to the neuron, through layers without state that lead only there."""
    pre, post = edge
    while nodes[pre].type not in NEURONS:
        before = list(net.predecessors(pre))
        if len(before) != 1 or net.out_degree(pre) != 1 or nodes[pre].type in ("Input", "Delay"):
            return edge
        pre, post = before[0], pre
    return pre, post

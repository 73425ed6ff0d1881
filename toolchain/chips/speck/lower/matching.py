"""Assignment of layers to cores as bipartite matching."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import networkx as nx

__all__ = ["cheapest", "hall_violators"]


def cheapest(costs: Sequence[Mapping[int, int]]) -> dict[int, int] | None:
    """Return the assignment of layers to distinct cores of least total cost; None if none exists.

    Args:
        costs: for each layer, the cost of each core that it fits; integers >= 0 of any size.

    Returns:
        Core by index of the layer. Of several with the same cost, the first layer has the lowest
        id, then the second, and so on: the result is unique.
    """
    # ties are broken by core ids as digits of a number below any cost, the first layer's leading
    base = 1 + max((core for options in costs for core in options), default=0)
    whole = base ** len(costs)
    network: nx.DiGraph[Any] = nx.DiGraph()
    network.add_nodes_from(["source", "sink"])
    for layer, options in enumerate(costs):
        network.add_edge("source", (layer, "layer"), capacity=1)
        digit = base ** (len(costs) - 1 - layer)
        for core, cost in options.items():
            price = cost * whole + core * digit
            network.add_edge((layer, "layer"), (core, "core"), capacity=1, weight=price)
            network.add_edge((core, "core"), "sink", capacity=1)
    flow = nx.max_flow_min_cost(network, "source", "sink")
    if sum(flow["source"].values()) < len(costs):
        return None
    return {
        layer: next(core for core in options if flow[layer, "layer"][core, "core"])
        for layer, options in enumerate(costs)
    }


def hall_violators(candidates: Sequence[Collection[int]]) -> Iterator[tuple[set[int], set[int]]]:
    """Yield sets of layers with the too few cores that they fit, one for each set of cores.

    A maximum matching leaves layers unmatched. The layers on alternating paths from one of these
    fit only the cores on the same paths, which are one fewer: Hall's condition is violated. The set
    is minimal: without any one of its layers, the others have a core each.
    """
    graph: nx.Graph[int] = nx.Graph()
    layers = [-1 - layer for layer in range(len(candidates))]  # negative: no core id
    graph.add_nodes_from(layers)
    graph.add_edges_from((-1 - i, core) for i, cores in enumerate(candidates) for core in cores)
    matched = nx.bipartite.hopcroft_karp_matching(graph, top_nodes=layers)
    alternating = nx.DiGraph((i, core) for i in layers for core in graph[i])
    alternating.add_nodes_from(layers)
    alternating.add_edges_from(
        (core, matched[core]) for core in graph if core >= 0 and core in matched
    )
    yielded: set[frozenset[int]] = set()
    for left_over in (i for i in layers if i not in matched):
        reached = {left_over, *nx.descendants(alternating, left_over)}
        cores = frozenset(node for node in reached if node >= 0)
        if cores not in yielded:
            yielded.add(cores)
            yield {-1 - node for node in reached if node < 0}, set(cores)

"""Feature maps as dense weights: convolutions and pools expanded exactly."""

from __future__ import annotations

from math import prod

from toolchain.ir import Conv1d, Conv2d, Graph, Linear, Membrane
from toolchain.passes import merge_weights, unroll

__all__ = ["without_maps"]

MOST_WEIGHTS = 2**23
MOST_NEURONS = 2**12
"""Largest networks on maps that are expanded: several times the size of any chip of the family, and
small enough for dense matrices in memory."""


def without_maps(graph: Graph) -> Graph:
    """Return the graph with dense weights and flat neurons only; chained weights become one.

    A product of weights takes the name of a trained one. A network far beyond any chip of the
    family keeps its maps, and the rules report its size.
    """
    if sum(prod(node.shape) for node in graph.of(Membrane).values()) > MOST_NEURONS:
        return graph
    trained = [*graph.of(Linear), *graph.of(Conv1d), *graph.of(Conv2d)]
    return merge_weights(unroll(graph, most=MOST_WEIGHTS), names=trained, most=MOST_WEIGHTS)

"""Maps on a chip that has none: convolutions and pools written out as dense weights, exactly."""

from __future__ import annotations

from math import prod

from toolchain.ir import Conv1d, Conv2d, Graph, Linear, Membrane
from toolchain.passes import merge_weights, unroll

__all__ = ["without_maps"]

MOST_WEIGHTS = 2**23
MOST_NEURONS = 2**12
"""What is written out at all: several times what any chip of the family takes, and still small
enough to be held in memory as matrices of every neuron with every other."""


def without_maps(graph: Graph) -> Graph:
    """Dense weights and rows of neurons alone; weights in a row as one, after a trained one.

    A network far beyond any chip of the family keeps its maps, and the rules say what it needs.
    """
    if sum(prod(node.shape) for node in graph.of(Membrane).values()) > MOST_NEURONS:
        return graph
    trained = [*graph.of(Linear), *graph.of(Conv1d), *graph.of(Conv2d)]
    return merge_weights(unroll(graph, most=MOST_WEIGHTS), names=trained, most=MOST_WEIGHTS)

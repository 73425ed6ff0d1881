"""Graded spikes as spikes of 1, with their value in the weights that read them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.ir import Edge, Graph, Neuron, Output, Scale

__all__ = ["fold_spike_scale"]


def fold_spike_scale(graph: Graph) -> Graph:
    """Let neurons send spikes of 1, each read through a ``Scale`` by the value of a spike.

    Other passes put that factor into the weights. Neurons whose spikes are an output of the
    network are not changed, since the output has their value.

    Ensures: the response is unchanged, exactly.

    >>> from toolchain.ir import Input, Linear
    >>> graded = Neuron(shape=(1,), v_threshold=1.0, spike_scale=0.5)
    >>> nodes = {"input": Input(shape=(1,)), "lif": graded, "fc": Linear(weight=[[1.0]])}
    >>> graph = fold_spike_scale(Graph.chain({**nodes, "output": Output()}))
    >>> list(graph.nodes), graph["lif"].spike_scale.item()
    (['input', 'lif', 'lif.scale', 'fc', 'output'], 1.0)
    """
    for name, node in graph.of(Neuron).items():
        readers = graph.post(name)
        if np.all(node.spike_scale == 1) or any(
            isinstance(graph[edge.post], Output) for edge in readers
        ):
            continue
        scale = f"{name}.scale"
        while scale in graph:
            scale += "'"
        nodes = {**graph.nodes, name: replace(node, spike_scale=np.ones(()))}
        nodes[scale] = Scale(scale=node.spike_scale)
        edges = [replace(e, pre=scale) if e in readers else e for e in graph.edges]
        edges.append(Edge(name, scale))
        graph = Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)
    return graph

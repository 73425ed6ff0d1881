"""Convolutions of several layers as one that reads them side by side, as channels of one map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from toolchain.ir import Add, Conv2d, Edge, Graph, Membrane, Pad
from toolchain.passes.regions import View, Window, map_of

__all__ = ["join_convolutions"]


def join_convolutions(graph: Graph, *, most: int = 2**24) -> Graph:
    """Replace a sum of convolutions that drives neurons by one convolution.

    Each source takes channels of its own in the map that the convolution reads: it is padded by
    channels of zeros, and the padded maps are added up.

    Requires: convolutions that only this sum reads, within the timestep, of maps of one size and
    with one stride; kernels of no more than ``most`` numbers. Other sums are not changed.
    Ensures: the response is unchanged in exact arithmetic. The convolution has the name of the
    first one.

    >>> import numpy as np
    >>> from toolchain.ir import Input, Neuron, Output
    >>> nodes = {"input": Input(shape=(1, 4, 4)), "sum": Add(), "output": Output()}
    >>> nodes |= {name: Conv2d(weight=np.ones((1, 1, 1, 1))) for name in ("a", "b", "c", "d")}
    >>> spiking = Neuron(shape=(1, 4, 4), v_threshold=1.0)
    >>> nodes |= {name: spiking for name in ("spk a", "spk b", "end")}
    >>> edges = [("input", "a"), ("input", "b"), ("a", "spk a"), ("b", "spk b"), ("spk a", "c")]
    >>> edges += [("spk b", "d"), ("c", "sum"), ("d", "sum"), ("sum", "end"), ("end", "output")]
    >>> joined = join_convolutions(Graph(nodes, edges))
    >>> joined["c"].weight.shape, "d" in joined
    ((1, 2, 1, 1), False)
    """
    for name in graph.of(Membrane):
        (edge,) = graph.pre(name)
        if isinstance(graph[edge.pre], Add) and not edge.delay:
            weights = dict(_weights(graph, edge.pre))
            joined = _joined(graph, weights, most) if len(weights) > 1 else None
            if joined is not None:
                graph = _replaced(graph, name, weights, joined)
    return graph


def _weights(graph: Graph, name: str) -> Iterator[tuple[str, Conv2d]]:
    """Yield the convolutions whose sum is ``name``; nothing if there are other terms."""
    terms: dict[str, Conv2d] = {}
    waiting = [name]
    while waiting:
        for edge in graph.pre(waiting.pop()):
            node = graph[edge.pre]
            alone = len(graph.post(edge.pre)) == 1
            late = edge.delay or any(before.delay for before in graph.pre(edge.pre))
            if late or not alone or not isinstance(node, (Add, Conv2d)):
                return
            if isinstance(node, Add):
                waiting.append(edge.pre)
            else:
                terms[edge.pre] = node
    yield from sorted(terms.items())


def _joined(graph: Graph, weights: Mapping[str, Conv2d], most: int) -> Conv2d | None:
    """Return one convolution of all channels; None if there is none."""
    channels = [graph.input_shape_of(name)[0] for name in weights]
    total: Window | None = None
    for index, (name, node) in enumerate(weights.items()):
        shape = graph.input_shape_of(name)
        found = map_of(shape)
        view = None if found is None else View(Window.identity(found), shape)
        behind = None if view is None else view.through(replace(node, bias=None), most)
        if behind is None:
            return None
        before, after = sum(channels[:index]), sum(channels[index + 1 :])
        wide = behind.window.beside(before, after)
        total = wide if total is None else total.plus(wide, most)
        if total is None:
            return None
    assert total is not None
    biases = [node.bias for node in weights.values() if node.bias is not None]
    weight, stride, padding = total.as_convolution()
    bias = np.sum(biases, axis=0) if biases else None
    return Conv2d(weight=weight, bias=bias, stride=stride, padding=padding)


def _replaced(graph: Graph, end: str, weights: Mapping[str, Conv2d], joined: Conv2d) -> Graph:
    """Return the graph with one convolution before ``end``; what it replaces leads nowhere."""
    first, *_ = weights
    (edge,) = graph.pre(end)
    gone, waiting = {*weights}, [edge.pre]
    while waiting:
        name = waiting.pop()
        gone.add(name)
        waiting += [e.pre for e in graph.pre(name) if isinstance(graph[e.pre], Add)]
    nodes = {name: node for name, node in graph.nodes.items() if name not in gone - {first}}
    edges = [e for e in graph.edges if e.pre not in gone and e.post not in gone]
    side_by_side, before = _free(nodes, f"{first}.sum"), 0
    total = joined.weight.shape[1]
    for name in weights:
        channels, *_ = graph.input_shape_of(name)
        pad = _free(nodes, f"{name}.pad")
        nodes[pad] = Pad(before=(before, 0, 0), after=(total - before - channels, 0, 0))
        edges += [Edge(graph.before(name), pad), Edge(pad, side_by_side)]
        before += channels
    nodes |= {first: joined, side_by_side: Add()}
    edges += [Edge(side_by_side, first), Edge(first, end)]
    return Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)


def _free(nodes: Mapping[str, object], name: str) -> str:
    while name in nodes:
        name += "'"
    return name

"""All layers as convolutions over maps, for chips whose cores only compute these."""

from __future__ import annotations

from dataclasses import replace

from toolchain.arrays import Shape
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Membrane,
    Node,
    Output,
    Reshape,
    SumPool2d,
)
from toolchain.passes.neurons import reshaped
from toolchain.passes.regions import map_of

__all__ = ["linear_to_conv"]

ON_MAPS = (
    *(Add, AvgPool2d, BatchNorm, Conv1d, Conv2d, Identity, Input, Linear),
    *(Membrane, Output, SumPool2d),
)
"""Nodes that compute the same of features with more axes of length 1."""


def linear_to_conv(graph: Graph) -> Graph:
    """Replace every ``Linear`` and ``Conv1d`` by a ``Conv2d``; all features become maps.

    A dense layer after ``Flatten`` of (channels, height, width) gets the kernel (height, width),
    its columns taken in C order; any other dense layer gets a 1 x 1 kernel. Features of one axis
    become maps of one pixel, those of two axes maps that are one row high.

    Requires: each reshape feeds only dense layers or the output, and neurons have at most one
    synapse, since several need a single axis; other layers only where there are maps. Any other
    graph is not changed.
    Ensures: every layer has the shape (channels, height, width); the response is unchanged except
    for its axes.

    >>> nodes = {"input": Input(shape=(2, 4, 4)), "flatten": Flatten()}
    >>> nodes |= {"fc": Linear(weight=[[0.5] * 32]), "output": Output()}
    >>> graph = linear_to_conv(Graph.chain(nodes))
    >>> list(graph.nodes), graph["fc"].weight.shape
    (['input', 'fc', 'output'], (1, 2, 4, 4))
    """
    reshapes = [name for name, node in graph.nodes.items() if isinstance(node, (Flatten, Reshape))]
    if any(node.synapses > 1 for node in graph.of(Membrane).values()) or not all(
        _removable(graph, name) if name in reshapes else _takes_maps(graph, name)
        for name in graph.nodes
    ):
        return graph
    changes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Linear):
            changes[name] = _as_conv(node, _map_before(graph, name))
        elif isinstance(node, Conv1d):
            changes[name] = _in_one_row(node)
        elif isinstance(node, (Input, Membrane)) and len(node.shape) < 3:
            shape = map_of(node.shape)
            assert shape is not None
            changes[name] = (
                reshaped(node, shape) if isinstance(node, Membrane) else Input(shape=shape)
            )
    return _rebuilt(graph, changes, reshapes)


def _removable(graph: Graph, name: str) -> bool:
    """Return whether only outputs and dense layers read a reshape, the latter if it is flat."""
    readers = [graph[edge.post] for edge in graph.post(name)]
    flat = isinstance(graph[name], Flatten) and len(graph.input_shape_of(name)) <= 3
    return all(isinstance(node, (Output, Linear) if flat else Output) for node in readers)


def _takes_maps(graph: Graph, name: str) -> bool:
    """Return whether a node can read and return maps instead of its features."""
    shape = graph.shape(name)
    return len(shape) == 3 or (len(shape) < 3 and isinstance(graph[name], ON_MAPS))


def _map_before(graph: Graph, linear: str) -> Shape:
    """Return the map a dense layer reads, before flattening; (inputs, 1, 1) if it is one axis."""
    name = graph.before(linear)
    if isinstance(graph[name], Flatten):
        name = graph.before(name)
    shape = map_of(graph.shape(name))
    assert shape is not None
    return shape


def _as_conv(node: Linear, shape: Shape) -> Conv2d:
    return Conv2d(weight=node.weight.reshape(-1, *shape), bias=node.bias)


def _in_one_row(node: Conv1d) -> Conv2d:
    """Return the convolution over maps that are one row high."""
    return Conv2d(
        weight=node.weight[:, :, None],
        bias=node.bias,
        stride=(1, node.stride),
        padding=(0, node.padding),
        dilation=(1, node.dilation),
        groups=node.groups,
    )


def _rebuilt(graph: Graph, changes: dict[str, Node], without: list[str]) -> Graph:
    """Apply all changes at once: the shapes only match after all of them."""
    bypass = {name: graph.before(name) for name in without}
    nodes = {name: changes.get(name, node) for name, node in graph.nodes.items()}
    edges = [
        replace(edge, pre=bypass.get(edge.pre, edge.pre))
        for edge in graph.edges
        if edge.post not in bypass
    ]
    kept = {name: node for name, node in nodes.items() if name not in bypass}
    return Graph(kept, edges, dt=graph.dt, provenance=graph.provenance)

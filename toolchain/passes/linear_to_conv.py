"""Dense layers as convolutions, for chips whose cores only compute convolutions."""

from __future__ import annotations

from dataclasses import replace

from toolchain.arrays import Shape
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Membrane, Node
from toolchain.passes.neurons import reshaped

__all__ = ["linear_to_conv"]


def linear_to_conv(graph: Graph) -> Graph:
    """Replace every ``Linear`` by a ``Conv2d`` over the whole map; features become 1 x 1 maps.

    A dense layer after ``Flatten`` of (channels, height, width) gets the kernel (height, width),
    its columns taken in C order; any other dense layer gets a 1 x 1 kernel.

    Requires: each ``Flatten`` feeds only dense layers or the output, and neurons have at most one
    synapse, since several need a single axis; any other graph is not changed.
    Ensures: every layer has the shape (channels, height, width); the response is unchanged except
    for the two axes of length 1.

    >>> from toolchain.ir import Output
    >>> nodes = {"input": Input(shape=(2, 4, 4)), "flatten": Flatten()}
    >>> nodes |= {"fc": Linear(weight=[[0.5] * 32]), "output": Output()}
    >>> graph = linear_to_conv(Graph.chain(nodes))
    >>> list(graph.nodes), graph["fc"].weight.shape
    (['input', 'fc', 'output'], (1, 2, 4, 4))
    """
    if any(len(graph.shape(name)) not in (1, 3) for name in graph.nodes):
        return graph
    if any(node.synapses > 1 for node in graph.of(Membrane).values()):
        return graph
    changes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Linear):
            changes[name] = _as_conv(node, _map_before(graph, name))
        elif isinstance(node, (Input, Membrane)) and len(node.shape) == 1:
            changes[name] = _as_map(node)
    flattened = [name for name in graph.of(Flatten) if _removable(graph, name)]
    if len(flattened) < len(graph.of(Flatten)):
        return graph
    return _rebuilt(graph, changes, flattened)


def _removable(graph: Graph, flatten: str) -> bool:
    return all(not isinstance(graph[e.post], Membrane) for e in graph.post(flatten))


def _map_before(graph: Graph, linear: str) -> Shape:
    """Return the map a dense layer reads, before flattening; (inputs, 1, 1) if it is one axis."""
    name = graph.pre(linear)[0].pre
    if isinstance(graph[name], Flatten):
        name = graph.before(name)
    shape = graph.shape(name)
    return shape if len(shape) == 3 else (*shape, 1, 1)


def _as_conv(node: Linear, shape: Shape) -> Conv2d:
    return Conv2d(weight=node.weight.reshape(-1, *shape), bias=node.bias)


def _as_map(node: Input | Membrane) -> Node:
    shape = (*node.shape, 1, 1)
    if isinstance(node, Input):
        return Input(shape=shape)
    return reshaped(node, shape)


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

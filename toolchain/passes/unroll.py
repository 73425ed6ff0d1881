"""Convolutions and pools as dense weights, for chips without feature maps."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Membrane,
    Node,
    Output,
    Reshape,
    Scale,
    SumPool2d,
)
from toolchain.passes.neurons import reshaped

__all__ = ["UNROLLED", "unroll"]

UNROLLED = (BatchNorm, Conv1d, Conv2d, Scale, SumPool2d)
"""Nodes that are linear in their input, except for a bias, and become a ``Linear``."""
RESHAPED = (Flatten, Reshape)
TAKEN = (*UNROLLED, *RESHAPED, Add, Identity, Input, Linear, Membrane, Output)


def unroll(graph: Graph, *, most: int = 2**24) -> Graph:
    """Replace every node of ``UNROLLED`` by a ``Linear``; features on one axis, in C order.

    An input of several axes keeps its shape and is flattened first; the outputs have one axis.

    Requires: no layers other than these, dense ones, neurons and sums, and no more than ``most``
    numbers in all new weights; any other graph is not changed.
    Ensures: none of these nodes and no reshape except that of the input remains; the response
    is unchanged, exactly except for the order of sums.

    >>> nodes = {"input": Input(shape=(1, 4)), "conv": Conv1d(weight=[[[1.0, 2.0]]])}
    >>> graph = unroll(Graph.chain({**nodes, "output": Output()}))
    >>> list(graph.nodes), graph["conv"].weight.tolist()[0]
    (['input', 'input.flatten', 'conv', 'output'], [1.0, 2.0, 0.0, 0.0])
    """
    sizes = [
        prod(graph.shape(name)) * prod(graph.input_shape_of(name))
        for name, node in graph.nodes.items()
        if isinstance(node, UNROLLED)
    ]
    taken = all(isinstance(node, TAKEN) for node in graph.nodes.values())
    maps = any(len(node.shape) > 1 for node in graph.of(Membrane).values())
    if not taken or not (sizes or maps or graph.of(Reshape)) or sum(sizes) > most:
        return graph
    nodes = {
        name: _in_rows(node, () if isinstance(node, Input) else graph.input_shape_of(name))
        for name, node in graph.nodes.items()
        if not isinstance(node, RESHAPED)
    }
    edges = [edge for name in nodes for edge in _inputs(graph, name)]
    if len(graph.shape(graph.input)) > 1:
        first = _free(graph, f"{graph.input}.flatten")
        edges = [replace(e, pre=first) if e.pre == graph.input else e for e in edges]
        edges.append(Edge(graph.input, first))
        nodes[first] = Flatten()
    return Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)


def _free(graph: Graph, name: str) -> str:
    while name in graph:
        name += "'"
    return name


def _inputs(graph: Graph, name: str) -> list[Edge]:
    """Return the edges into ``name``, from the nodes before any reshape."""
    edges = []
    for edge in graph.pre(name):
        while isinstance(graph[edge.pre], RESHAPED):
            (before,) = graph.pre(edge.pre)
            edge = Edge(before.pre, name, before.delay + edge.delay)
        edges.append(edge)
    return edges


def _in_rows(node: Node, shape: Shape) -> Node:
    """Return ``node``, which receives ``shape``, for features on one axis."""
    if isinstance(node, (BatchNorm, Scale)):
        return _diagonal(node, shape)
    if isinstance(node, (Conv1d, Conv2d, SumPool2d)):
        return _dense(_convolution(node, shape), shape)
    return reshaped(node, (prod(node.shape),)) if isinstance(node, Membrane) else node


def _diagonal(node: BatchNorm | Scale, shape: Shape) -> Linear:
    """Return a diagonal weight: a factor for each feature, and a shift."""
    if isinstance(node, Scale):
        return Linear(weight=np.diag(np.broadcast_to(node.scale, shape).ravel()))
    each = prod(shape[1:])
    scale = node.gamma / np.sqrt(node.var + node.eps)
    shift = node.beta - node.mean * scale
    return Linear(weight=np.diag(np.repeat(scale, each)), bias=np.repeat(shift, each))


def _convolution(node: Conv1d | Conv2d | SumPool2d, shape: Shape) -> Conv2d:
    """Return the node as a convolution over maps; maps of one axis are one row high."""
    if isinstance(node, Conv1d):
        return Conv2d(
            weight=node.weight[:, :, None],
            bias=node.bias,
            stride=(1, node.stride),
            padding=(0, node.padding),
            dilation=(1, node.dilation),
            groups=node.groups,
        )
    if isinstance(node, Conv2d):
        return node
    window = np.ones((shape[0], 1, *node.kernel))
    if isinstance(node, AvgPool2d):
        window /= prod(node.kernel)
    return Conv2d(weight=window, stride=node.stride, groups=shape[0])


def _dense(node: Conv2d, shape: Shape) -> Linear:
    """Return the matrix of a convolution that reads ``shape``, filled tap by tap."""
    channels, height, width = (shape[0], *(1,) * (3 - len(shape)), *shape[1:])
    to = node.output_shape((channels, height, width))
    matrix = np.zeros((*to, channels, height, width), node.weight.dtype)
    outputs, inputs = len(node.weight) // node.groups, node.weight.shape[1]
    for y, x in np.ndindex(*node.weight.shape[2:]):
        rows = _positions(node, 0, y, to[1], height)
        columns = _positions(node, 1, x, to[2], width)
        for group in range(node.groups):
            o = slice(group * outputs, (group + 1) * outputs)
            c = slice(group * inputs, (group + 1) * inputs)
            # separated advanced indices put their axes first: (rows, columns, outputs, inputs)
            matrix[o, rows[0][:, None], columns[0], c, rows[1][:, None], columns[1]] = node.weight[
                o, :, y, x
            ]
    bias = None if node.bias is None else np.repeat(node.bias, prod(to[1:]))
    return Linear(weight=matrix.reshape(prod(to), prod(shape)), bias=bias)


def _positions(node: Conv2d, axis: int, tap: int, outputs: int, inputs: int) -> tuple[Array, Array]:
    """Return the output positions of an axis that a tap connects, and their input positions."""
    read = np.arange(outputs) * node.stride[axis] + tap * node.dilation[axis] - node.padding[axis]
    inside = (read >= 0) & (read < inputs)
    return np.flatnonzero(inside), read[inside]

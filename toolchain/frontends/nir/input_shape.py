"""Shape of the input of a NIR node, as far as its own fields determine it."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Shape
from toolchain.frontends.nir.neurons import NEURONS
from toolchain.frontends.nir.nodes import NirGraph, NirNode

__all__ = ["input_shape"]

STORED = {"Flatten": "input_type", "Input": "shape", "Output": "shape"}
ELEMENTWISE = (*NEURONS, "Delay", "Scale")


def input_shape(node: NirNode | NirGraph) -> Shape | None:
    """Return the shape of one timestep that ``node`` takes, or None if its fields leave it open."""
    if isinstance(node, NirGraph):
        return _of_graph(node)
    if node.type in STORED:
        return _whole(node, STORED[node.type])
    if node.type in ("Affine", "Linear"):
        return (int(np.asarray(node.fields["weight"]).shape[1]),)
    if node.type in ("Conv1d", "Conv2d"):
        return _of_convolution(node)
    if node.type in ELEMENTWISE:
        shapes = {np.shape(value) for value in node.fields.values()} - {()}
        return tuple(shapes.pop()) if len(shapes) == 1 else None
    return None


def _of_graph(graph: NirGraph) -> Shape | None:
    """Return the shape of the Input, or else the one that all nodes after it take."""
    inputs = [
        name
        for name, node in graph.nodes.items()
        if isinstance(node, NirNode) and node.type == "Input"
    ]
    if len(inputs) != 1:
        return None
    own = input_shape(graph.nodes[inputs[0]])
    after = [post for pre, post in graph.edges if pre == inputs[0] and post in graph.nodes]
    found = {own} if own else {input_shape(graph.nodes[post]) for post in after} - {None}
    return found.pop() if len(found) == 1 else None


def _of_convolution(node: NirNode) -> Shape | None:
    weight = np.asarray(node.fields["weight"])
    size = _whole(node, "input_shape")
    if size is None or len(size) != weight.ndim - 2:
        return None
    return (int(weight.shape[1]) * int(np.ravel(np.asarray(node.fields["groups"]))[0]), *size)


def _whole(node: NirNode, name: str) -> Shape | None:
    if name not in node.fields:
        return None
    return tuple(int(size) for size in np.ravel(np.asarray(node.fields[name])))

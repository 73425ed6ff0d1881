"""Synaptic operations of a network as a differentiable function of its mean spikes.

The spikes of a layer go through the layers behind it as on the chip, with a weight of 1 for each
synapse; what arrives at a neuron is the number of its synaptic operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from toolchain.arrays import Array
from toolchain.ir import (
    Add,
    Conv1d,
    Conv2d,
    Flatten,
    Graph,
    Identity,
    Linear,
    Membrane,
    Node,
    Permute,
    Reshape,
    SumPool2d,
)
from toolchain.passes.weights import WEIGHTS
from toolchain.runs.evaluate import evaluate

__all__ = ["synapses_of", "synops"]


def synapses_of(values: Array, *, of_zeros: bool) -> Tensor:
    """Return 1 for each synapse and 0 elsewhere, float32.

    Args:
        values: weights, integers.
        of_zeros: True if the chip has synapses of weights that are 0 as well.
    """
    return torch.ones(values.shape) if of_zeros else torch.from_numpy(values != 0).float()


def synops(
    graph: Graph, synapses: Mapping[str, Tensor], means: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the synaptic operations that arrive at each neuron layer in a step, ().

    Args:
        graph: the network in the chip's layers.
        synapses: 1 for each synapse of each node with weights.
        means: mean spikes of each neuron in a step, of the input and every neuron layer, of the
            shape of the layer.

    Raises:
        ValueError: a node through which spikes are not counted.

    >>> import numpy as np
    >>> from toolchain.ir import Input, Neuron, Output
    >>> nodes = {"input": Input(shape=(3,)), "fc": Linear(weight=np.ones((2, 3)))}
    >>> lif = Neuron(shape=(2,), v_threshold=1.0)
    >>> graph = Graph.chain({**nodes, "lif": lif, "output": Output()})
    >>> synops(graph, {"fc": torch.ones(2, 3)}, {"input": torch.tensor([0.5, 0.0, 1.0])})
    {'lif': tensor(3.)}
    """
    found: dict[str, Tensor] = {}

    def value(name: str) -> Tensor:
        if name in means:
            return means[name]
        if name not in found:
            inputs = [value(edge.pre) for edge in graph.pre(name)]
            found[name] = _through(name, graph[name], inputs, synapses, graph.shape(name))
        return found[name]

    return {
        name: reduce(torch.add, [value(edge.pre).sum() for edge in graph.pre(name)])
        for name in graph.of(Membrane)
    }


def _through(
    name: str,
    node: Node,
    inputs: list[Tensor],
    synapses: Mapping[str, Tensor],
    shape: tuple[int, ...],
) -> Tensor:
    """Return what a node makes of its inputs, with a weight of 1 for each synapse."""
    if isinstance(node, Add):
        return reduce(torch.add, inputs)
    (x,) = inputs
    if isinstance(node, Flatten | Reshape | Identity):
        return x.reshape(shape)
    if isinstance(node, Permute):
        return x.permute(node.axes)
    if isinstance(node, SumPool2d):
        return F.avg_pool2d(x[None], node.kernel, node.stride)[0] * prod(node.kernel)
    if isinstance(node, WEIGHTS):
        return _weighted(node, x, synapses[name])
    if not x.requires_grad:  # what stands before the first layer, such as the map of a sensor
        return torch.from_numpy(evaluate(node, [x.numpy()[None, None]])[0, 0]).float()
    kind = type(node).__name__
    raise ValueError(f"{name}: synaptic operations through {kind} are not counted")


def _weighted(node: Linear | Conv1d | Conv2d, x: Tensor, synapses: Tensor) -> Tensor:
    if isinstance(node, Linear):
        return F.linear(x, synapses)
    convolve = F.conv2d if isinstance(node, Conv2d) else F.conv1d
    found: Tensor = convolve(
        x[None], synapses, None, node.stride, node.padding, node.dilation, node.groups
    )
    return found[0]

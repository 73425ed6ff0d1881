"""Fusion of batch norm: at inference a scale and a shift, both absorbed by the weight before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.ir import BatchNorm, Conv2d, Graph, Linear, Node
from toolchain.passes.weights import scaled

__all__ = ["fuse_batch_norm"]


def fuse_batch_norm(graph: Graph) -> Graph:
    """Merge every ``BatchNorm`` that follows a weight into that weight, eps included.

    Requires: the weight feeds only the batch norm.
    Ensures: no such pair remains; the response is unchanged in exact arithmetic. The weight has a
    bias afterwards unless the shift is zero everywhere.

    Source: torch.nn.BatchNorm2d, evaluation mode; vendor tools omit eps, an error of 0.14 for a
    variance of about 1e-4.

    >>> from toolchain.ir import Graph, Input, Output
    >>> norm = BatchNorm(mean=[1.0], var=[4.0], gamma=[2.0], beta=[0.5], eps=0.0)
    >>> nodes = {"input": Input(shape=(1,)), "fc": Linear(weight=[[3.0]]), "norm": norm}
    >>> graph = fuse_batch_norm(Graph.chain({**nodes, "output": Output()}))
    >>> "norm" in graph, graph["fc"].weight.tolist(), graph["fc"].bias.tolist()
    (False, [[3.0]], [-0.5])
    """
    for kind in (Conv2d, Linear):
        for first, second in list(graph.chains(kind, BatchNorm)):
            weight, norm = graph[first], graph[second]
            assert isinstance(norm, BatchNorm)
            graph = graph.replace({first: _merged(weight, norm)}).drop(second)
    return graph


def _merged(weight: Node, norm: BatchNorm) -> Node:
    assert isinstance(weight, (Conv2d, Linear))
    scale = norm.gamma / np.sqrt(norm.var + norm.eps)
    start = 0.0 if weight.bias is None else weight.bias
    shift = norm.beta + (start - norm.mean) * scale
    bias = None if weight.bias is None and not np.any(shift) else shift
    merged = scaled(replace(weight, bias=None), scale)
    assert isinstance(merged, (Conv2d, Linear))
    return replace(merged, bias=bias)

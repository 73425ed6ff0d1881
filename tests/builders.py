"""Graphs that tests build over and over."""

import numpy as np

from toolchain.ir import Graph, Input, Linear, Neuron, Output, SumPool2d


def chain(input_shape, *nodes, dt=None, **named):
    """Return a graph of nodes in a row, between an input of that shape and an output.

    ``nodes`` are called ``n0``, ``n1`` and on; those that are ``named`` come after them.
    """
    layers = {f"n{index}": node for index, node in enumerate(nodes)} | named
    return Graph.chain({"input": Input(shape=input_shape), **layers, "output": Output()}, dt=dt)


def dense(weight, bias=None, *, dt=None, **neuron):
    """Return a graph of one dense layer ``fc`` and its neurons ``lif``, of threshold 1."""
    fc = Linear(weight=np.asarray(weight, dtype=float), bias=bias)
    lif = Neuron(**{"shape": fc.weight.shape[:1], "v_threshold": 1.0, **neuron})
    return chain(fc.weight.shape[1:], fc=fc, lif=lif, dt=dt)


def pool(side=2, stride=None):
    """Return a sum over windows of ``side``, next to each other unless ``stride`` is given."""
    return SumPool2d(kernel=side, stride=stride or side)

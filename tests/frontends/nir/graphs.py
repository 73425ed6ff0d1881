"""NIR graphs made by hand."""

from itertools import pairwise

import numpy as np

from toolchain.frontends.nir import NirFile, NirGraph, NirNode


def node(kind, **fields):
    arrays = {k: v if isinstance(v, str) else np.asarray(v) for k, v in fields.items()}
    return NirNode(type=kind, fields=arrays)


def lif(size=3, tau=0.02, r=1.0, threshold=0.5, leak=0.0, **rest):
    given = {"tau": tau, "r": r, "v_leak": leak, "v_threshold": threshold, **rest}
    return node("LIF", **{k: np.full(size, v, dtype=np.float64) for k, v in given.items()})


def cuba(size=3, mem=0.02, syn=0.01, r=1.0, w_in=1.0, threshold=0.5, leak=0.0, **rest):
    given = {"tau_mem": mem, "tau_syn": syn, "r": r, "w_in": w_in, "v_leak": leak, **rest}
    given["v_threshold"] = threshold
    return node("CubaLIF", **{k: np.full(size, v, dtype=np.float64) for k, v in given.items()})


def ends(before=(3,), after=(3,)):
    return {"input": node("Input", shape=before), "output": node("Output", shape=after)}


def file(nodes, edges, where="a.nir", metadata=None, version="1.0.4"):
    graph = NirGraph(nodes=nodes, edges=tuple(edges), metadata=metadata or {})
    return NirFile(graph=graph, version=version, where=where)


def chain(before=(3,), after=(3,), **nodes):
    """Layers one after the other, between ends of those shapes."""
    every = ends(before, after)
    names = ["input", *nodes, "output"]
    return file({**every, **nodes}, pairwise(names))


def conv2d(weight, **rest):
    usual = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    bias = np.zeros(len(weight))
    return node("Conv2d", weight=weight, **{"bias": bias, **usual, **rest})


def pool(kind="SumPool2d", kernel=(2, 2), stride=(2, 2), padding=(0, 0)):
    return node(kind, kernel_size=kernel, stride=stride, padding=padding)

"""Comparison of files that spyx wrote with the spikes of its networks."""

from pathlib import Path

import numpy as np

from toolchain.frontends.nir import to_graph
from toolchain.runs.interpret import interpret

RECORDED = Path(__file__).parent / "data" / "frameworks" / "spyx.npz"


def latency(file):
    """Steps by which spyx outputs later than our Graph: one for each layer of neurons."""
    return sum(kind in ("CubaLIF", "IF", "LIF") for kind in _types(file.graph))


def _types(graph):
    for node in graph.nodes.values():
        if hasattr(node, "nodes"):
            yield from _types(node)
        else:
            yield node.type


def differing(file, x, spikes):
    """Number of entries in which the Graph of ``file`` differs from (steps, features)."""
    graph = to_graph(file, dialect="spyx")
    late = latency(file)
    found = interpret(graph, np.asarray(x, dtype=np.float64)[None]).spikes[0]
    wrong = int(np.count_nonzero(found[: len(x) - late] != spikes[late:]))
    return wrong + int(np.count_nonzero(spikes[:late]))

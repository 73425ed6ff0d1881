"""Graphs for the tests of the Xylo room."""

from itertools import pairwise

import numpy as np

from toolchain.ir import Add, Edge, Graph, Input, Linear, Neuron, Output


def lif(size, *, synapses=1, **changes):
    """A layer that Xylo computes as it is."""
    fields = {
        "shape": (size,),
        "alpha_mem": 1 - 2.0**-3,
        "alpha_syn": 1 - 2.0 ** -np.arange(2, 2 + synapses),
        "v_threshold": 1.0,
        "max_spikes": 31,
    }
    return Neuron(**fields | changes)


def readout(size, **changes):
    """An output layer that Xylo computes as it is."""
    return lif(size, **{"max_spikes": 1, **changes})


def wired(inputs, layers, connections, *, dt=1e-3, outputs=None, extra=None):
    """Layers joined by ``connections``, each (pre, post, weight[, delay]).

    The weight from ``a`` to ``b`` is called ``a_b``; the last layer is the output.
    """
    nodes = {"input": Input(shape=(inputs,)), **layers, **(extra or {})}
    edges, into = [], {}
    for pre, post, weight, *delay in connections:
        name = f"{pre}_{post}"
        nodes[name] = weight if isinstance(weight, Linear) else Linear(weight=weight)
        edges.append(Edge(pre, name))
        into.setdefault(post, []).append((name, *(delay or [0])))
    for post, sources in into.items():
        target = post
        if len(sources) > 1:
            target = f"{post}_sum"
            nodes[target] = Add()
            edges.append(Edge(target, post))
        edges += [Edge(name, target, delay) for name, delay in sources]
    for index, name in enumerate(outputs or [[*layers][-1]]):
        nodes[f"output{index or ''}"] = Output()
        edges.append(Edge(name, f"output{index or ''}"))
    return Graph(nodes, edges, dt=dt)


def sequence(*sizes, rng=None, hidden=lif, output=readout, dt=1e-3):
    """A feed-forward network ``input -> l0 -> l1 -> ...`` of dense layers."""
    rng = rng or np.random.default_rng(0)
    names = ["input", *(f"l{i}" for i in range(len(sizes) - 1))]
    kinds = [hidden] * (len(sizes) - 2) + [output]
    layers = {n: kind(s) for n, kind, s in zip(names[1:], kinds, sizes[1:], strict=True)}
    connections = []
    for (pre, post), (m, n) in zip(pairwise(names), pairwise(sizes), strict=True):
        rows = n * max(1, layers[post].synapses)
        connections.append((pre, post, rng.normal(0, 1, (rows, m))))
    return wired(sizes[0], layers, connections, dt=dt)


def layered(rng, *, synapses=1, density=0.5, **changes):
    """A random network whose paths agree: feed-forward, recurrent, feedback, parallel layers.

    Layer ``h2_0`` runs 2 steps late on the chip. Connections are ``(pre, post, weight, delay)``
    and are given back with the graph.
    """
    depth = int(rng.integers(1, 4))
    late = {f"h{d}_{k}": d for d in range(depth) for k in range(int(rng.integers(1, 3)))}
    layers = {}
    for name in late:
        fields = {"synapses": synapses, "alpha_mem": 1 - 2.0 ** -float(rng.integers(1, 5))}
        layers[name] = lif(int(rng.integers(2, 6)), **fields | changes)
    layers["out"] = readout(int(rng.integers(1, 4)))
    inputs = int(rng.integers(2, 6))
    pairs = [("input", name, 0) for name in late if late[name] == 0]
    for post in late:
        before = [p for p in late if late[p] == late[post] - 1]
        if before:
            pairs.append((before[int(rng.integers(len(before)))], post, 0))
        for pre in late:
            delay = late[pre] + 1 - late[post]
            known = any(p[:2] == (pre, post) for p in pairs)
            if delay >= 0 and not known and rng.random() < density:
                pairs.append((pre, post, delay))
    last = [name for name in late if late[name] == depth - 1]
    pairs += [(name, "out", 0) for name in last]
    sizes = {"input": inputs} | {n: node.shape[0] for n, node in layers.items()}
    connections = [
        (a, b, rng.normal(0, 1, (sizes[b] * layers[b].synapses, sizes[a])), delay)
        for a, b, delay in pairs
    ]
    return wired(inputs, layers, connections), connections

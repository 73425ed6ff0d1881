"""Graphs for the tests of the Xylo room."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from toolchain.chips.load import load_chip
from toolchain.chips.xylo.quantize.baselines import channel
from toolchain.ir import Add, Edge, Graph, Input, Linear, Neuron, Output
from toolchain.passes import fold_gain

CHIP = load_chip("xylo_a2")


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

    The weight from ``a`` to ``b`` is called ``a_b``; the last layer is the output. A ``pre`` of
    several names with ``+`` between, ``a+b``, is the sum of these layers.
    """
    nodes = {"input": Input(shape=(inputs,)), **layers, **(extra or {})}
    edges, into = [], {}
    for pre, post, weight, *delay in connections:
        name = f"{pre}_{post}"
        nodes[name] = weight if isinstance(weight, Linear) else Linear(weight=weight)
        edges.append(Edge(pre, name))
        if "+" in pre and pre not in nodes:
            nodes[pre] = Add()
            edges += [Edge(part, pre) for part in pre.split("+")]
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


def in_whole_numbers(graph):
    """The network with the decays that the chip has, and one scale a neuron."""
    return channel(fold_gain(graph), CHIP)[0]


def integers(rng, graph, *, weights=(-16, 32), threshold=12):
    """The same network in whole numbers.

    A neuron's threshold is ``threshold`` times the number of neurons and channels that it hears.
    """
    excitation = {
        name: sum(graph[w].weight.shape[1] for w, _ in ways(graph, name) for _ in ways(graph, w))
        for name in graph.of(Neuron)
    }
    graph = graph.map(
        Linear, lambda _, node: Linear(weight=rng.integers(*weights, node.weight.shape))
    )
    return graph.map(
        Neuron, lambda name, node: replace(node, v_threshold=np.array(threshold * excitation[name]))
    )


def ways(graph, name):
    """What feeds ``name`` through sums, with the delay on the way."""
    for edge in graph.pre(name):
        if isinstance(graph[edge.pre], Add):
            yield from ((pre, delay + edge.delay) for pre, delay in ways(graph, edge.pre))
        else:
            yield edge.pre, edge.delay


def leaked(state, dash):
    """What is left of whole numbers after a step: at least 1 is lost of what is above 0."""
    lost = state >> dash
    return state - np.where((lost == 0) & (state > 0), 1, lost)


def in_network_order(graph, spikes):
    """Spikes of every layer (time, neurons) with the chip's arithmetic and the graph's timing.

    They end before the step in which a state would leave 16 bit.
    """
    layers = graph.of(Neuron)
    dashes = {n: int(np.rint(-np.log2(1 - node.alpha_mem))) for n, node in layers.items()}
    syn = {n: np.rint(-np.log2(1 - node.alpha_syn)).astype(int) for n, node in layers.items()}
    current = {n: np.zeros((node.shape[0], node.synapses), int) for n, node in layers.items()}
    v = {n: np.zeros(node.shape, int) for n, node in layers.items()}
    fired = {"input": spikes, **{n: np.zeros((len(spikes), *v[n].shape), int) for n in v}}
    joined = {
        name: [
            (graph[weight].weight, pre, late + early)
            for weight, late in ways(graph, name)
            for pre, early in ways(graph, weight)
        ]
        for name in layers
    }
    for t in range(len(spikes)):
        for name, node in layers.items():
            for weight, pre, delay in joined[name]:
                if t >= delay:
                    current[name] += (weight @ fired[pre][t - delay]).reshape(current[name].shape)
            current[name] = leaked(current[name], syn[name])
            v[name] = leaked(v[name], dashes[name]) + current[name].sum(axis=1)
            theta = node.v_threshold
            n = np.clip(v[name] // theta, 0, node.max_spikes)
            v[name] -= n * theta
            fired[name][t] = n
            if max(np.abs(state).max() for state in (current[name], v[name] + n * theta)) > 20000:
                return {name: spikes[:t] for name, spikes in fired.items()}
    return fired


def residual(rng, *, depth=4, size=4, inputs=3, recurrent=0.3, synapses=1):
    """``l0 -> l1 -> ... -> out`` where each weight reads a sum of layers before it.

    Some layers hear themselves. Paths have different lengths.
    """
    names = [f"l{k}" for k in range(depth)]
    layers = {n: lif(size, synapses=synapses, alpha_mem=1 - 2.0**-2) for n in names}
    layers["out"] = readout(2)

    def weight(post, pre):
        return rng.normal(0, 1, (layers[post].shape[0] * layers[post].synapses, pre))

    connections = [("input", "l0", weight("l0", inputs))]
    for k, post in enumerate([*names[1:], "out"]):
        summed = "+".join(n for n in names[: k + 1] if n == names[k] or rng.random() < 0.5)
        connections.append((summed, post, weight(post, size)))
    looped = [name for name in names if rng.random() < recurrent]
    connections += [(name, name, weight(name, size), 1) for name in looped]
    return wired(inputs, layers, connections)

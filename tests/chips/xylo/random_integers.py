"""Random networks of integers for each chip of Xylo, as a quantizer would leave them."""

from dataclasses import replace

import numpy as np

from tests.chips.xylo.graphs import layered, lif, readout, residual, sequence, ways, wired
from toolchain.chips.contract import Options
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.family import Xylo
from toolchain.ir import Linear, Membrane, MembraneReadout, Neuron

CHIPS = ("xylo_a2", "xylo_a3", "xylo_imu", "xylo_1")


def network(seed):
    """The program of a random network on its chip, its quantized graph, and an input."""
    rng = np.random.default_rng([seed, 17])
    family = Xylo.on(load_chip(CHIPS[seed % 4]))
    kind = ("layered", "residual", "wide", "sequence")[seed // 4 % 4]
    synapses = 1 + int(rng.random() < 0.5)
    graph = _graph(rng, kind, synapses)
    if kind == "residual":
        graph = family.approximate(graph, ("delays->hops",))[0]
    graph = _integers(rng, graph, family.chip)
    spikes = rng.poisson(rng.choice([0.1, 0.4, 1.5]), _input(rng, graph)).clip(0, 15)
    return family.lower(graph, Options()), graph, spikes.astype(np.uint8)


def _input(rng, graph):
    return (int(rng.integers(1, 8)), int(rng.integers(0, 50)), *graph.shape(graph.input))


def _graph(rng, kind, synapses):
    if kind == "layered":
        return layered(rng, synapses=synapses)[0]
    if kind == "residual":
        return residual(rng, synapses=synapses, inputs=int(rng.integers(1, 5)))
    if kind == "sequence":
        sizes = [int(n) for n in rng.integers(1, 40, rng.integers(3, 6))]
        return sequence(*sizes, rng=rng)
    n = int(rng.integers(20, 70))
    layers = {"a": lif(n, synapses=synapses), "b": lif(3), "out": readout(2)}

    def weight(post, pre):
        return np.ones((layers[post].shape[0] * layers[post].synapses, pre))

    connections = [("input", "a", weight("a", 4)), ("a", "a", weight("a", n), 1)]
    connections += [("a", "b", weight("b", n)), ("b", "out", weight("out", 3))]
    if rng.random() < 0.5:
        connections.append(("b", "a", weight("a", 3), 2))
    return wired(4, layers, connections)


def _integers(rng, graph, chip):
    factor = 2 ** int(rng.choice([0, 0, 1, 4]))
    largest = int(rng.choice([3, 20, 127]))
    density = rng.choice([0.3, 1.0])
    read = rng.choice(["spikes", "spikes", "v_mem", "i_syn"])

    def weight(_, node):
        words = rng.integers(-largest, largest + 1, node.weight.shape)
        return Linear(weight=words * (rng.random(words.shape) < density) * factor)

    graph = graph.map(Linear, weight)
    if rng.random() < 0.3:  # more than the chip's states can hold
        largest *= 30

    def neurons(name, node):
        fan_in = sum(graph[w].weight.shape[1] for w, _ in ways(graph, name))
        middle = max(1, factor * largest * np.sqrt(fan_in) * rng.choice([0.02, 0.5, 3]))
        size = node.shape if rng.random() < 0.5 else ()
        each = np.clip(rng.uniform(0.5, 1.5, size) * middle, 1, 32767).astype(int)
        return replace(_membrane(rng, node, chip, middle), v_threshold=each)

    graph = graph.map(Neuron, neurons)
    return graph if read == "spikes" else graph.map(Neuron, _reader(graph, read))


def _membrane(rng, node, chip, middle):
    dash = [rng.integers(low, 6, node.shape) for low in (0, *([1] * max(1, node.synapses)))]
    bias = np.zeros((), int)
    if chip.limits.bias_width is not None and rng.random() < 0.5:
        most = int(min(127, 1 + middle / 3))
        bias = rng.integers(-most, most + 1, node.shape if rng.random() < 0.5 else ())
    return replace(
        node,
        alpha_mem=1 - 2.0 ** -dash[0],
        alpha_syn=np.stack([1 - 2.0**-d for d in dash[1:]], axis=-1),
        bias=bias,
    )


def _reader(graph, read):
    def change(name, node):
        if name not in graph.outputs:
            return node
        names = ("shape", "alpha_mem", "alpha_syn", "bias")
        fields = {field: getattr(node, field) for field in names}
        if read == "i_syn":
            fields |= {"alpha_mem": np.zeros(()), "bias": np.zeros((), int)}
        return MembraneReadout(**fields)

    return change


def random_values(rng, trainable, values):
    """Other integers in the range of each parameter; some at its ends, some as they are."""
    found = {}
    for name, p in trainable.parameters.items():
        count = (p.high - p.low) // p.step
        drawn = p.low + p.step * rng.integers(0, count + 1, p.shape)
        near = values[name] + p.step * rng.integers(-3, 4, p.shape)
        ends = np.where(rng.random(p.shape) < 0.5, p.low, p.high)
        kind = rng.choice(3, p=[0.1, 0.8, 0.1], size=p.shape)
        found[name] = np.clip(np.choose(kind, [drawn, near, ends]), p.low, p.high)
    return found


def with_integers(graph, values):
    """The quantized graph with other integers."""
    changes = {}
    for name, value in values.items():
        node, field = name.rsplit(".", 1)
        changes[node] = replace(changes.get(node, graph[node]), **{field: value})
    return graph.replace(changes)


def values_of(trainable, graph):
    """The integers that a quantized graph has."""
    return {n: getattr(graph[p.node], p.field) for n, p in trainable.parameters.items()}


def layers_of(graph):
    return tuple(graph.of(Membrane))

"""The 24 random networks on which quantizers are compared, their spikes, and the measure.

Eight feed-forward networks, eight recurrent ones, eight with many synaptic time constants as
SynNet has them. Every second network has time constants that no bit shift gives, every third one
has biases, every fourth one two synapses a hidden neuron. Weights are random; the scale of each
layer is then set on a coarse grid so that its neurons spike in 1 to 15 % of the steps. The same
seed gives the same network.

Time constants are 1.5 steps or longer: shorter ones round to a bit shift of 0 in rockpool, where
a state is cleared every step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo import XyloProgram, simulate
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.deployment import Deployment
from toolchain.ir import Add, Edge, Graph, Input, Linear, Neuron, Output
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import count_agreement

KINDS = ("feed-forward", "recurrent", "time constants")
EACH = 8
SERIES = 1997
"""The series of the committed table, fixed before any quantizer was run on it."""
STEPS = 120
QUIET = 8
"""Steps without input at the end, in which the last spikes pass the layers."""
CALIBRATION, HELD_OUT = 16, 64
"""Samples."""
DT = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A float network with the spikes that quantizers may see and those they are judged on.

    Attributes:
        name: unique.
        kind: for the table.
        graph: the network; weights and thresholds in floats.
        calibration, held_out: counts (batch, time, inputs).
    """

    name: str
    kind: str
    graph: Graph
    calibration: Array
    held_out: Array

    @property
    def neurons(self) -> int:
        """Hidden and output neurons."""
        return sum(int(np.prod(node.shape)) for node in self.graph.of(Neuron).values())


def agreement(graph: Graph, program: XyloProgram | Deployment, spikes: Array) -> float:
    """Agreement of output spike counts of a program with its float network, the lag undone."""
    if isinstance(program, Deployment):
        program = program.program
    lag = read_layers(graph).lag()
    wanted = interpret(graph, spikes).spikes
    got = simulate(program, spikes).spikes
    return count_agreement(wanted[:, : wanted.shape[1] - lag], got[:, lag:])


@cache
def random_case(index: int, series: int = SERIES) -> Case:
    """Network ``index`` of ``len(KINDS) * EACH``; another ``series`` holds other networks."""
    rng = np.random.default_rng([series, index])
    kind, number = KINDS[index // EACH], index % EACH
    traits = {
        "off_grid": number % 2 == 1,
        "biased": index % 3 == 2,
        "synapses": 2 if number % 4 == 3 and kind != "time constants" else 1,
    }
    build = {
        "feed-forward": _feed_forward,
        "recurrent": _recurrent,
        "time constants": _time_constants,
    }
    inputs = int(rng.integers(6, 17))
    graph = build[kind](rng, inputs, number, traits)
    rate = float(rng.uniform(0.04, 0.12))
    spikes = [_spikes(rng, n, inputs, rate) for n in (CALIBRATION, HELD_OUT)]
    graph = calmed(graph, spikes[0][:8], rng)
    letters = [
        letter
        for letter, there in (
            ("t", traits["off_grid"]),
            ("b", traits["biased"]),
            ("2", traits["synapses"] == 2),
        )
        if there
    ]
    name = "-".join([f"{kind} {number}", *letters])
    return Case(name=name, kind=kind, graph=graph, calibration=spikes[0], held_out=spikes[1])


def _spikes(rng: np.random.Generator, samples: int, inputs: int, rate: float) -> Array:
    """Poisson counts; each channel of each sample has a rate of its own, around ``rate``."""
    rates = rate * rng.lognormal(0, 0.5, (samples, 1, inputs))
    counts = rng.poisson(rates, (samples, STEPS - QUIET, inputs))
    return np.pad(np.minimum(counts, 15), ((0, 0), (0, QUIET), (0, 0)))


# ---- the three kinds ----


def _feed_forward(rng: Any, inputs: int, number: int, traits: dict[str, Any]) -> Graph:
    sizes = rng.integers(12, 49, 1 + number // 2 % 4)
    layers = {f"h{k}": _layer(rng, int(n), **traits) for k, n in enumerate(sizes)}
    layers["out"] = _layer(rng, int(rng.integers(2, 9)), **{**traits, "synapses": 1}, cap=1)
    return chained(rng, inputs, layers)


def _recurrent(rng: Any, inputs: int, number: int, traits: dict[str, Any]) -> Graph:
    deep = number >= EACH // 2
    sizes = rng.integers(14, 31, 2) if deep else rng.integers(24, 61, 1)
    layers = {f"h{k}": _layer(rng, int(n), **traits) for k, n in enumerate(sizes)}
    layers["out"] = _layer(rng, int(rng.integers(2, 9)), **{**traits, "synapses": 1}, cap=1)
    return chained(rng, inputs, layers, recurrent=0.7)


def _time_constants(rng: Any, inputs: int, number: int, traits: dict[str, Any]) -> Graph:
    constants = ((2, 4), (4, 8), (2, 4, 8), (5, 5))[number // 2]
    sizes = rng.integers(24, 61, len(constants))
    layers = {}
    for k, (n, m) in enumerate(zip(sizes, constants, strict=True)):
        node = _layer(rng, int(n), **traits)
        layers[f"h{k}"] = replace(node, alpha_syn=_series(int(n), m, traits["off_grid"])[:, None])
    layers["out"] = _layer(rng, int(rng.integers(2, 9)), **traits, cap=1)
    return chained(rng, inputs, layers)


def _series(neurons: int, constants: int, off_grid: bool) -> Array:
    """Decay factors of the time constants ``dt 1.8^j``, or of bit shifts 1, 2, ..., repeated."""
    order = 1 + np.arange(neurons) % constants
    return np.exp(-1 / 1.8**order) if off_grid else 1 - 2.0**-order


def _layer(
    rng: Any, neurons: int, *, off_grid: bool, biased: bool, synapses: int, cap: int = 31
) -> Neuron:
    """Neurons with thresholds around 1; a bias moves the membrane by up to a fifth of that."""

    def factor() -> float:
        if off_grid:
            return float(np.exp(-1 / np.exp(rng.uniform(np.log(1.5), np.log(30)))))
        return float(1 - 2.0 ** -rng.integers(1, 6))

    mem = factor()
    low, high = -0.1 * (1 - mem), 0.2 * (1 - mem)
    return Neuron(
        shape=(neurons,),
        alpha_mem=np.asarray(mem),
        alpha_syn=np.array([factor() for _ in range(synapses)]),
        v_threshold=rng.uniform(0.8, 1.25, neurons) if rng.random() < 0.5 else np.ones(neurons),
        bias=rng.uniform(low, high, neurons) if biased else np.zeros(()),
        max_spikes=cap,
    )


def chained(
    rng: Any, inputs: int, layers: dict[str, Neuron], recurrent: float | None = None
) -> Graph:
    """Layers one after the other; with ``recurrent`` each hidden one feeds itself that densely."""
    nodes: dict[str, Any] = {"input": Input(shape=(inputs,))}
    edges: list[Edge] = []
    before, width = "input", inputs
    for name, node in layers.items():
        weight, drive = f"into_{name}", name
        nodes |= {weight: Linear(weight=_weights(rng, node, width)), name: node}
        edges.append(Edge(before, weight))
        if recurrent is not None and name != "out":
            again, drive = f"rec_{name}", f"sum_{name}"
            dense = _weights(rng, node, node.shape[0]) - 0.3 / node.shape[0] ** 0.5
            kept = dense * (rng.random(dense.shape) < recurrent)
            nodes |= {again: Linear(weight=0.7 * kept), drive: Add()}
            edges += [Edge(name, again), Edge(again, drive, 1), Edge(drive, name)]
        edges.append(Edge(weight, drive))
        before, width = name, node.shape[0]
    nodes["output"] = Output()
    edges.append(Edge(before, "output"))
    return Graph(nodes, edges, dt=DT)


def _weights(rng: Any, node: Neuron, inputs: int) -> Array:
    """Normal weights, smaller for slower synapses, as SynNet starts them."""
    alpha = np.broadcast_to(node.alpha_syn, (*node.shape, node.synapses)).reshape(-1, 1)
    slow = -np.log(alpha)
    return np.asarray(slow * rng.normal(0.1, 1, (len(alpha), inputs)) / inputs**0.5)


# ---- moderate firing ----


def calmed(graph: Graph, spikes: Array, rng: Any) -> Graph:
    """Weights of each layer times a power of 2^(1/3), so that it spikes at a rate drawn here."""
    for name in graph.of(Neuron):
        target = float(rng.uniform(0.02, 0.1))
        weights = [w for w in (f"into_{name}", f"rec_{name}") if w in graph]
        low, high = -18, 18  # thirds of a factor of 2
        while high - low > 1:
            middle = (low + high) // 2
            tried = _louder(graph, weights, 2 ** (middle / 3))
            rate = interpret(tried, spikes, record=True).layers[name].spikes.mean()
            low, high = (middle, high) if rate < target else (low, middle)
        graph = _louder(graph, weights, 2 ** (high / 3))
    return graph


def _louder(graph: Graph, weights: list[str], factor: float) -> Graph:
    changes: dict[str, Any] = {}
    for name in weights:
        node = graph[name]
        assert isinstance(node, Linear)
        changes[name] = replace(node, weight=node.weight * factor)
    return graph.replace(changes)

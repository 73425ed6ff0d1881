"""Random float networks with features that Xylo computes exactly, of several kinds.

Outputs that are read as membranes or currents, membranes without memory, synapses without weights,
after-potentials as a second synapse, several layers and the input into one population.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from toolchain.ir import Add, Edge, Graph, Input, Linear, MembraneReadout, Neuron, Node, Output

READOUTS = ("v_mem", "i_syn", "no synapse", "bias")
LAYERS = ("memoryless", "empty synapse", "after-potential", "several sources")
KINDS = (*READOUTS, *LAYERS)


def exact_network(kind: str, seed: int, *, biases: bool = True) -> Graph:
    """Return a network of ``kind``: two hidden layers, the first recurrent, and outputs.

    ``biases`` are left out for chips without; ``bias`` then is as ``v_mem``.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    inputs, first, second, outputs = (int(n) for n in rng.integers([2, 3, 2, 1], [9, 16, 10, 6]))
    synapses = 2 if kind in ("empty synapse", "after-potential") else 1
    nodes: dict[str, Node] = {
        "input": Input(shape=(inputs,)),
        "w1": Linear(weight=_weights(rng, first * synapses, inputs)),
        "rec": Linear(weight=_weights(rng, first * synapses, first) / 2),
        "sum": Add(),
        "h1": _hidden(rng, first, kind, synapses),
        "w2": Linear(weight=_weights(rng, second, first)),
        "h2": _hidden(rng, second, kind, 1),
        "wo": Linear(weight=_weights(rng, outputs, second)),
        "out": _output(rng, outputs, kind, biases=biases),
        "output": Output(),
    }
    if kind == "empty synapse":
        _empty(rng, nodes, first)
    if kind == "after-potential":
        strength = np.zeros((2 * first, first))
        strength[1::2] = np.diag(-rng.uniform(0.2, 1.0, first))
        inside = nodes["w1"].parameters()["weight"].copy()
        inside[1::2] = 0
        nodes["w1"], nodes["rec"] = Linear(weight=inside), Linear(weight=strength)
    edges: list[Any] = [("input", "w1"), ("w1", "sum"), ("rec", "sum"), ("sum", "h1")]
    edges += [Edge("h1", "rec", delay=1), ("h1", "w2"), ("h2", "wo"), ("wo", "out")]
    if kind == "several sources":
        # the feed-back from h2 takes one step more on the chip, as one from h1 itself does
        nodes |= {"back": Linear(weight=_weights(rng, first, second) / 2), "sum2": Add()}
        nodes |= {"again": Linear(weight=_weights(rng, second, second) / 2)}
        nodes |= {"skip": Linear(weight=_weights(rng, second, inputs) / 2)}
        edges += [Edge("h2", "back", delay=2), ("back", "sum"), ("w2", "sum2"), ("sum2", "h2")]
        edges += [Edge("h2", "again", delay=1), ("again", "sum2")]
        edges += [Edge("input", "skip", delay=0), Edge("skip", "sum2", delay=0)]
        # what the input sends to h2 at once arrives one step before what h1 made of it
        edges = [Edge("h1", "w2", delay=1) if e == ("h1", "w2") else e for e in edges]
        edges = [Edge("h2", "back", delay=1) if _is(e, "h2", "back") else e for e in edges]
    else:
        edges.append(("w2", "h2"))
    return Graph(nodes, [*edges, ("out", "output")], dt=1e-3)


def _is(edge: Any, pre: str, post: str) -> bool:
    return isinstance(edge, Edge) and (edge.pre, edge.post) == (pre, post)


def spikes_for(graph: Graph, seed: int, samples: int = 2, steps: int = 40) -> np.ndarray[Any, Any]:
    """Return spikes (samples, steps, inputs), up to 15 at once in one of the samples."""
    rng = np.random.default_rng([seed, 99])
    calm = rng.poisson(0.3, (samples, steps, *graph.shape(graph.input)))
    calm[-1] = np.minimum(15, calm[-1] * rng.integers(1, 16, calm[-1].shape))
    return np.minimum(calm, 15)


def _weights(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray[Any, Any]:
    return rng.normal(0.2, 1.0, (rows, columns)) / np.sqrt(columns)


def _alpha(rng: np.random.Generator, size: int | tuple[int, ...], least: int = 1) -> Any:
    return 1 - 2.0 ** -rng.integers(least, 6, size).astype(float)


def _hidden(rng: np.random.Generator, size: int, kind: str, synapses: int) -> Neuron:
    mem = _alpha(rng, size, 0 if kind == "memoryless" else 1)
    syn = _alpha(rng, (size, synapses))
    return Neuron(shape=(size,), alpha_mem=mem, alpha_syn=syn, v_threshold=1.0, max_spikes=31)


def _output(rng: np.random.Generator, size: int, kind: str, *, biases: bool) -> Node:
    fields: dict[str, Any] = {"shape": (size,), "alpha_mem": _alpha(rng, size)}
    fields["alpha_syn"] = _alpha(rng, (size, 1))
    if kind in LAYERS:
        return Neuron(**fields, v_threshold=1.0, max_spikes=1)
    if kind == "i_syn":
        fields["alpha_mem"] = 0.0
    if kind == "no synapse":
        fields["alpha_syn"] = None
    if kind == "bias" and biases:
        fields["bias"] = rng.normal(0, 0.05, size)
    return MembraneReadout(**fields)


def _empty(rng: np.random.Generator, nodes: dict[str, Node], size: int) -> None:
    """Leave each neuron of the first layer one synapse, of its own choice."""
    unused = rng.integers(0, 2, size)
    for name in ("w1", "rec"):
        rows = nodes[name].parameters()["weight"].copy().reshape(size, 2, -1)
        rows[np.arange(size), unused] = 0
        nodes[name] = Linear(weight=rows.reshape(2 * size, -1))

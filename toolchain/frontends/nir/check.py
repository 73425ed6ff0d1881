"""Self-check of imported Graphs: run the Graph and the file's equations, compare all values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.integrate import Track, Wiring, integrate
from toolchain.frontends.nir.loops import recurrent_nodes
from toolchain.frontends.nir.neurons import Reading
from toolchain.frontends.nir.nodes import NirNode
from toolchain.ir import Graph, Linear, Neuron
from toolchain.runs.interpret import interpret
from toolchain.runs.outputs import output_signals

__all__ = ["check", "verify_against"]

TOLERANCE = 1e-9
"""Allowed difference of membranes, relative to the largest in the layer."""
MAX_PRODUCTS, MAX_NUMBERS = 2**25, 2**23
"""Approximate limits of one run: multiplications, and values output by layers."""
MAX_VISITS = 2**14
"""Limit on steps times nodes of a run, since every node has a constant cost per step."""
MIN_STEPS, MAX_STEPS = 2, 100
"""Bounds on the steps of a run."""
FACTORS = (1.0, 16.0, 256.0)
"""Scales of the input spikes, tried in order until every layer has fired."""


def check(
    graph: Graph,
    nodes: Mapping[str, NirNode],
    delays: Mapping[tuple[str, str], int],
    reading: Reading,
    where: str,
) -> Graph:
    """Compare ``graph`` with the file; return it with the result in its provenance.

    Raises:
        ModelFileError: the results differ (names the first layer, step and neuron).
    """
    edges = _edges(graph, nodes)
    wiring = Wiring(
        nodes={name: nodes[name] for name in graph.nodes if name in nodes},
        edges=edges,
        delays=delays,
        shapes={name: graph.shape(name) for name in nodes},
        recurrent=recurrent_nodes(nodes, edges),
        outputs=output_signals(graph),
    )
    return verify_against(graph, lambda x: integrate(wiring, reading, x), f"{where}: ")


def verify_against(
    graph: Graph, run: Callable[[Array], tuple[Array, Mapping[str, Track]]], where: str
) -> Graph:
    """Compare ``graph`` with a second implementation on random spikes.

    Args:
        graph: the Graph to check.
        run: the second implementation: maps inputs (batch, time, *features) to outputs of that
            form, and to the tracks of the stateful nodes by name, producers first.
        where: prefix of errors.

    Returns:
        ``graph`` with the entry ``self_check`` in its provenance.

    Raises:
        ModelFileError: the results differ (names the first layer, step and neuron).
    """
    x = _spikes(graph)
    compared = nonzero = 0
    for factor in FACTORS:
        recording = interpret(graph, factor * x, record=True)
        expected, tracks = run(factor * x)
        for name, track in tracks.items():
            layer, fires = f"{where}layer {name!r}", isinstance(graph[name], Neuron)
            record = recording.layers[name]
            _check_layer(layer, record.spikes, record.v_mem, track, fires)
        _check_equal(f"{where}the output", "value", recording.spikes, expected, TOLERANCE)
        numbers = [recording.layers[name].spikes for name in graph.of(Neuron)]
        numbers = numbers or [recording.spikes]
        compared += sum(each.size for each in numbers)
        nonzero += sum(int(np.count_nonzero(each)) for each in numbers)
        if all(np.any(each) for each in numbers):
            break
    what = "spike counts" if graph.of(Neuron) else "values"
    summary = f"0 of {compared} {what} differ from the file's equations; {nonzero} are not 0"
    provenance = {**graph.provenance, "self_check": summary}
    return Graph(graph.nodes, graph.edges, dt=graph.dt, provenance=provenance)


def _edges(graph: Graph, nodes: Mapping[str, NirNode]) -> list[tuple[str, str]]:
    """Return the edges between the file's own nodes, across the sums that the Graph adds."""
    found = []
    for edge in graph.edges:
        if edge.pre in nodes:
            post = edge.post if edge.post in nodes else graph.post(edge.post)[0].post
            found.append((edge.pre, post))
    return found


def _spikes(graph: Graph) -> Array:
    """Return two samples, one sparse and one dense, as long as the budgets allow."""
    shape = graph.shape(graph.input)
    products = sum(_cost(graph, name) for name in graph.nodes)
    numbers = sum(prod(graph.shape(name)) for name in graph.nodes)
    most = min(
        MAX_PRODUCTS // (2 * products), MAX_NUMBERS // (2 * numbers), MAX_VISITS // len(graph.nodes)
    )
    steps = int(np.clip(most, MIN_STEPS, MAX_STEPS))
    rng = np.random.default_rng(0)
    rates = np.array([0.1, 1.0]).reshape(2, *(1,) * (1 + len(shape)))
    return rng.poisson(rates, (2, steps, *shape)).astype(np.float64)


def _cost(graph: Graph, name: str) -> int:
    node = graph[name]
    if isinstance(node, Linear):
        return int(node.weight.size)
    kernel = getattr(node, "weight", np.zeros((1, 1)))
    return prod(graph.shape(name)) * prod(kernel.shape[1:])


def _check_layer(where: str, spikes: Array, v_mem: Array, track: Track, fires: bool) -> None:
    outputs, membranes = (np.stack(each, axis=1) for each in (track.outputs, track.membranes))
    what, tolerance = ("spike count", 0.0) if fires else ("value", TOLERANCE)
    _check_equal(where, what, spikes, outputs, tolerance)
    _check_equal(where, "membrane", v_mem, membranes, TOLERANCE)


def _check_equal(where: str, what: str, graph: Array, file: Array, tolerance: float) -> None:
    scale = np.abs(file).max(initial=0.0)
    wrong = ~(np.abs(graph - file) <= tolerance * scale)
    if graph.shape == file.shape and not wrong.any():
        return
    wrong_at = np.argwhere(wrong)
    sample, step, *neuron = (int(n) for n in wrong_at[np.argmin(wrong_at[:, 1])])
    index = (sample, step, *neuron)
    raise ModelFileError(
        f"{where} first differs in step {step}, neuron {tuple(neuron)}: a {what} of "
        f"{file[index]:.12g} from the file's equations, {graph[index]:.12g} from the Graph "
        f"({len(wrong_at)} of {wrong.size} differ); if float64 rounding decides a spike, store "
        "the weights in float32"
    )

"""The network that a program computes, as a Graph of its integers.

A program that was read from a file has no trained network. Its own integers take that place: the
same connections, thresholds and decays in real numbers, without the core's rounding and saturation.
Neuron populations keep the program's names. Aliases become connections of the neurons that send
their spikes on.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.program import XyloProgram
from toolchain.ir import Add, Edge, Graph, Input, Linear, MembraneReadout, Neuron, Node, Output

__all__ = ["network_of"]


def network_of(program: XyloProgram) -> Graph:
    """Return the network of a program with one hidden and one output population.

    Raises:
        ValueError: thresholds below 1, at which a neuron fires in every step.

    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> network_of(program).shape("hidden"), network_of(program)["weights_in"].weight.tolist()
    ((2,), [[100], [100]])
    """
    low = [name for name in ("threshold", "threshold_out") if getattr(program, name).min() < 1]
    if low:
        raise ValueError(
            f"{' and '.join(low)}: below 1 in some neurons, which then fire in every step; no "
            "network does"
        )
    hidden, output = (population.name for population in program.populations)
    sent = program.weights_rec.astype(np.int64) << program.weight_shift_rec
    read = program.weights_out.astype(np.int64) << program.weight_shift_out
    for source in _targets_first(program):
        for target in program.aliases[source]:
            sent[source] += sent[target]
            read[source] += read[target]
    nodes: dict[str, Node] = {
        program.input_name: Input(shape=(program.inputs,)),
        "weights_in": Linear(
            weight=_matrix(program.weights_in.astype(np.int64) << program.weight_shift_in)
        ),
    }
    edges = [Edge(program.input_name, "weights_in")]
    entry = "weights_in"
    if sent.any():
        nodes |= {"hidden.add": Add(), "weights_rec": Linear(weight=_matrix(sent))}
        edges += [Edge(entry, "hidden.add"), Edge("weights_rec", "hidden.add", delay=1)]
        edges += [Edge(hidden, "weights_rec")]
        entry = "hidden.add"
    nodes |= {
        hidden: _neurons(program, ""),
        "weights_out": Linear(weight=_matrix(read[..., None])),
        output: _neurons(program, "_out"),
        "readout": Output(),
    }
    chain = [entry, hidden, "weights_out", output, "readout"]
    edges += [Edge(pre, post) for pre, post in pairwise(chain)]
    return Graph(nodes, edges, dt=program.dt)


def _targets_first(program: XyloProgram) -> list[int]:
    """Return the sources of aliases, each after its own targets.

    Raises:
        ValueError: aliases in a circle.
    """
    ordered: list[int] = []
    waiting = {source: set(targets) for source, targets in enumerate(program.aliases) if targets}
    while waiting:
        ready = [source for source, targets in waiting.items() if not targets & waiting.keys()]
        if not ready:
            raise ValueError(f"aliases: hidden neurons {sorted(waiting)[:5]} form a circle")
        ordered += ready
        waiting = {source: t for source, t in waiting.items() if source not in ready}
    return ordered


def _matrix(weights: Array) -> Array:
    """Return ``(pre, post, synapses)`` as ``(post * synapses, pre)``."""
    return weights.reshape(len(weights), -1).T


def _neurons(program: XyloProgram, suffix: str) -> Node:
    def register(name: str) -> Array:
        return np.asarray(getattr(program, name + suffix), dtype=np.int64)

    decays = [register("dash_syn")]
    if program.synapses > 1 and not suffix:
        decays.append(program.dash_syn_2.astype(np.int64))
    fields: dict[str, Any] = {
        "shape": register("threshold").shape,
        "alpha_mem": 1 - np.exp2(-register("dash_mem")),
        "alpha_syn": 1 - np.exp2(-np.column_stack(decays)),
        "bias": register("bias"),
    }
    if suffix and program.readout == "i_syn":
        return MembraneReadout(**{**fields, "alpha_mem": np.zeros(()), "bias": np.zeros(())})
    if suffix and program.readout == "v_mem":
        return MembraneReadout(**fields)
    most = program.max_output_spikes if suffix else program.max_hidden_spikes
    return Neuron(**fields, v_threshold=register("threshold"), max_spikes=most)

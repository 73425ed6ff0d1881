"""Outputs that never fire: the states of output neurons, read in each timestep.

The threshold of these neurons is the largest that the chip has. Their membrane is that of a
``MembraneReadout``; one without memory (dash 0) equals the synaptic current. A membrane without a
synapse is computed by the synapse, which adds its input before it decays like one
(``v = a v + x`` is ``i = a (i + x / a)``), under a membrane without memory.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.chips.contract import Options
from toolchain.chips.rules.findings import warning
from toolchain.chips.xylo.dashes import NO_MEMORY
from toolchain.chips.xylo.options import ReadoutState, xylo_options
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph, Membrane, MembraneReadout, Neuron, membrane_of

__all__ = ["configured", "membrane_as_synapse", "read_membrane", "readout_of"]


def configured(graph: Graph, options: Options) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Return the network whose outputs are read as ``options`` ask, with a warning if that differs.

    Raises:
        ValueError: ``"spikes"`` of membranes that never spike, or ``"i_syn"`` of neurons without a
            synapse.
    """
    wanted = xylo_options(options).readout
    findings: list[Diagnostic] = []
    for name in graph.outputs if wanted is not None else ():
        node = graph[name]
        if not isinstance(node, Membrane):
            continue
        if wanted == "spikes":
            if not isinstance(node, Neuron):
                raise ValueError(f"readout='spikes': {name!r} is a membrane that never spikes")
            continue
        if wanted == "i_syn" and not node.synapses:
            raise ValueError(f"readout='i_syn': {name!r} has no synaptic current")
        graph = graph.replace({name: _read(node, wanted)})
        if isinstance(node, Neuron):
            what = "membrane" if wanted == "v_mem" else "synaptic current"
            findings.append(
                warning(
                    "readout",
                    name,
                    f"its {what} is read: no neuron fires or is reset, unlike in the network",
                )
            )
    return graph, tuple(findings)


def _read(node: Membrane, wanted: ReadoutState | None) -> MembraneReadout:
    read = membrane_of(node)
    if wanted != "i_syn":
        return read
    zero, one = np.zeros(()), np.ones(())
    return replace(read, alpha_mem=zero, bias=zero, v_leak=zero, v_init=zero, gain=one)


def read_membrane(graph: Graph, name: str) -> Graph:
    """Return the graph with the membrane of neurons ``name`` as output, which never fire."""
    node = graph[name]
    assert isinstance(node, Membrane)
    return graph.replace({name: _read(node, "v_mem")})


def membrane_as_synapse(graph: Graph) -> Graph:
    """Compute readouts without a synapse by their synapse.

    Ensures: the output is unchanged, exactly. Readouts with a bias or an initial potential, which
    a synapse does not have, are unchanged.
    """

    def change(_: str, node: MembraneReadout) -> MembraneReadout:
        if node.synapses or any(np.any(v) for v in (node.bias, node.v_init, node.v_leak)):
            return node
        alpha = node.alpha_mem[..., None]
        return replace(node, alpha_mem=np.zeros(()), alpha_syn=alpha, syn_order="decay_add")

    return graph.map(MembraneReadout, change)


def readout_of(node: Membrane) -> ReadoutState:
    """Return what is read of an output layer: of a membrane without memory, its current."""
    if isinstance(node, Neuron):
        return "spikes"
    current = bool(np.all(node.alpha_mem < NO_MEMORY)) and not np.any(node.bias)
    return "i_syn" if current else "v_mem"

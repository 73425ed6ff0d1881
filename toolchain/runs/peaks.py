"""The largest states a graph reaches on given spikes, for choosing scales."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.ir.graph import Graph
from toolchain.ir.neuron import Neuron
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import LayerRecord

__all__ = ["HEADROOM", "state_peaks"]

HEADROOM = 1.25
"""States on unseen data may exceed those of the data at hand by this factor before they saturate.
A choice, not a measurement; saturations are counted and reported in any case."""


def state_peaks(graph: Graph, spikes: Array, *, headroom: float = HEADROOM) -> dict[str, Array]:
    """Per neuron, the largest ``|state|`` on ``spikes`` (batch, time, *features), times headroom.

    The membrane is taken before its reset, the synaptic current after its decay; the current
    before the decay is ``1 / alpha_syn`` times that.

    Returns:
        float64 arrays of each layer's shape, by layer.
    """
    neurons = graph.of(Neuron)
    layers = interpret(graph, spikes, record=True).layers
    return {
        name: headroom * _peak(neurons[name], record)
        for name, record in layers.items()
        if name in neurons
    }


def _peak(node: Neuron, record: LayerRecord) -> Array:
    amount = node.v_threshold if node.reset_amount is None else node.reset_amount
    states = [record.v_mem, record.v_mem + record.spikes * amount]
    for synapse, current in enumerate((record.i_syn, record.i_syn_2)):
        if current is not None and node.alpha_syn is not None:
            states.append(current / np.maximum(node.alpha_syn[..., synapse], 1e-9))
    peaks = [np.abs(state).max(axis=(0, 1), initial=0.0) for state in states]
    return np.asarray(np.max(peaks, axis=0))

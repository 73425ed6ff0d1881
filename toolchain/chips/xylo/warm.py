"""A run of everything that is compiled, on a small network."""

from __future__ import annotations

import numpy as np

from toolchain.chips.contract import Family
from toolchain.ir import Graph, Input, Linear, Neuron, Output

__all__ = ["warm"]

INPUTS, HIDDEN, OUTPUTS, STEPS, BATCH = 2, 3, 2, 4, 64


def warm(family: Family) -> None:
    """Quantize with every method, and simulate one sample and a batch, with records and without.

    Args:
        family: Xylo on a chip with every feature of the simulator.
    """
    graph = family.shape(_network())
    spikes = np.ones((BATCH, STEPS, INPUTS), np.uint8)
    for method in family.QUANTIZERS:
        quantized, _ = family.quantize(graph, spikes[:2], method)
    program = family.lower(quantized, family.OPTIONS())
    for batch in (1, BATCH):
        for record in (True, False):
            program.simulate(spikes[:batch], record=record, timing="clocked")


def _network() -> Graph:
    leak = {"alpha_mem": 0.9375, "alpha_syn": np.array([0.875]), "v_threshold": 1.0}
    nodes = {
        "input": Input(shape=(INPUTS,)),
        "fc1": Linear(weight=np.full((HIDDEN, INPUTS), 0.5)),
        "lif1": Neuron(shape=(HIDDEN,), **leak),
        "fc2": Linear(weight=np.full((OUTPUTS, HIDDEN), 0.5)),
        "lif2": Neuron(shape=(OUTPUTS,), max_spikes=1, **leak),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=1e-3)

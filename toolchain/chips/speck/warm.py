"""A run of everything that is compiled, on a small network."""

from __future__ import annotations

import numpy as np

from toolchain.chips.contract import Family
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output

__all__ = ["warm"]

SIDE, STEPS = 4, 2
DTYPES = (np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64)
"""Types of rasters; all others are converted to one of them first."""
LARGEST_COUNTS = (1, 1000)
"""Spikes of an input in one step, so that sums need 16 and 32 bits."""


def warm(family: Family) -> None:
    """Quantize with every method, and simulate in both timings.

    Args:
        family: Speck on a chip with every feature of the simulator.
    """
    graph = family.shape(_network())
    spikes = np.ones((2, STEPS, 1, SIDE, SIDE), np.uint8)
    for method in family.QUANTIZERS:
        quantized, _ = family.quantize(graph, spikes, method)
    program = family.lower(quantized, family.OPTIONS())
    for timing in family.TIMINGS:
        program.simulate(spikes, record=True, timing=timing)
    for dtype in DTYPES:
        program.simulate(spikes.astype(dtype), timing="clocked")
    for count in LARGEST_COUNTS:
        program.simulate(spikes.astype(np.int16) * count, timing="clocked")


def _network() -> Graph:
    features = 2 * SIDE * SIDE
    nodes = {
        "input": Input(shape=(1, SIDE, SIDE)),
        "conv": Conv2d(weight=np.full((2, 1, 3, 3), 1.0), padding=(1, 1)),
        "iaf1": Neuron(shape=(2, SIDE, SIDE), v_threshold=1.0, v_min=-1.0),
        "flat": Flatten(),
        "fc": Linear(weight=np.full((2, features), 1.0)),
        "iaf2": Neuron(shape=(2,), v_threshold=1.0, v_min=-1.0),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=1e-3)

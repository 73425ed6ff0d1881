"""A run of everything that is compiled, on a small network."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family, OnChip
from toolchain.chips.load import load_chip
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output

__all__ = ["warm"]

SIDE, STEPS = 8, 2
ONE = np.array(1.0)
DTYPES = (np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64)
"""Types of rasters; all others are converted to one of them first."""
LARGEST_COUNTS = (1, 1000)
"""Spikes of an input in one step, so that sums need 16 and 32 bits."""


def warm(kind: type[Family]) -> None:
    """Quantize with every method, simulate and train in both timings.

    Args:
        kind: the family of Speck.
    """
    family = kind.on(load_chip("speck2f"))  # a chip with every feature of the simulator
    graph = family.shape(_network())
    spikes = np.zeros((2, STEPS, 1, SIDE, SIDE), np.uint8)
    spikes[..., 3, 4] = 1  # few, as in recordings: the quantizer counts many in another way
    for method in family.QUANTIZERS:
        quantized, _ = family.quantize(graph, spikes, method)
    program = family.lower(quantized, family.OPTIONS())
    for timing in family.TIMINGS:
        program.simulate(spikes, record=True, timing=timing)
    for timing in family.TIMINGS:
        _train(program, quantized, spikes, timing)
    for dtype in DTYPES:
        program.simulate(spikes.astype(dtype), timing="clocked")
    for count in LARGEST_COUNTS:
        program.simulate(spikes.astype(np.int16) * count, timing="clocked")


def _train(program: OnChip, quantized: Graph, spikes: Array, timing: str) -> None:
    """Run both passes of the training once."""
    trainable = program.trainable(quantized)
    values = {
        name: np.broadcast_to(getattr(quantized[one.node], one.field).flat[0], one.shape)
        for name, one in trainable.parameters.items()
    }
    wanted, outputs = [*values], trainable.outputs
    tape = trainable.run(values, spikes, layers=outputs, timing=timing, gradient=True)
    outer = {name: found.astype(np.float32) for name, found in tape.values.items()}
    trainable.gradients(tape, outer, wanted=wanted)


def _network() -> Graph:
    features = 2 * SIDE * SIDE
    rng = np.random.default_rng(0)  # no weights that integers hold exactly
    nodes = {
        "input": Input(shape=(1, SIDE, SIDE)),
        "conv": Conv2d(weight=rng.normal(0.5, 0.5, (2, 1, 3, 3)), padding=(1, 1)),
        "iaf1": Neuron(shape=(2, SIDE, SIDE), v_threshold=ONE, v_min=-ONE),
        "flat": Flatten(),
        "fc": Linear(weight=rng.normal(0.5, 0.5, (2, features))),
        "iaf2": Neuron(shape=(2,), v_threshold=ONE, v_min=-ONE),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=1e-3)

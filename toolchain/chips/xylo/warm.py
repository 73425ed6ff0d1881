"""A run of everything that is compiled, on small networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family, OnChip
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.run import simulate
from toolchain.ir import Graph, Input, Linear, Neuron, Output

__all__ = ["warm"]

INPUTS, HIDDEN, OUTPUTS, STEPS = 2, 3, 2, 40
BATCHES = (1, 64)
CHIPS = ("xylo_1", "xylo_a2")
"""One with each of the two cores."""


def warm(family: Family) -> None:
    """Quantize with every method, simulate samples and batches with records and without, train.

    Args:
        family: Xylo on a chip with every feature of the simulator.
    """
    graph = family.shape(_network())
    spikes = np.ones((max(BATCHES), STEPS, INPUTS), np.uint8)
    for method in family.QUANTIZERS:
        quantized, _ = family.quantize(graph, spikes[:2], method)
    on_chip = family.lower(quantized, family.OPTIONS())
    for batch in BATCHES:
        for record in (True, False):
            on_chip.simulate(spikes[:batch], record=record, timing="clocked")
            for program in _programs():
                simulate(program, spikes[:batch], record=record)
    _train(on_chip, quantized, spikes[:2])


def _train(on_chip: OnChip, quantized: Graph, spikes: Array) -> None:
    """Compute gradients with the default surrogate and with another one."""
    program = on_chip.trainable(quantized)
    values = {
        name: np.asarray(getattr(quantized[p.node], p.field))
        for name, p in program.parameters.items()
    }
    tape = program.run(
        values, spikes, layers=program.outputs, timing="clocked", gradient=True, threads=1
    )
    outer = {name: np.ones(v.shape, np.float32) for name, v in tape.values.items()}
    for slope in (None, lambda v, threshold: v / threshold):
        program.gradients(tape, outer, wanted=[*values], slope=slope, of_input=True)


def _programs() -> Iterator[XyloProgram]:
    """Yield programs of each core, with one synapse and with two."""
    for chip in CHIPS:
        for synapses in (1, 2):
            second = {} if synapses == 1 else {"dash_syn_2": 2}
            yield XyloProgram.from_specification(
                chip,
                weights_in=np.ones((INPUTS, HIDDEN, synapses), np.int64),
                weights_rec=np.ones((HIDDEN, HIDDEN, synapses), np.int64),
                weights_out=np.ones((HIDDEN, OUTPUTS), np.int64),
                dash_mem=2,
                dash_syn=2,
                dash_mem_out=2,
                dash_syn_out=2,
                threshold=1,
                threshold_out=1,
                **second,
            )


def _network() -> Graph:
    one, alpha_mem, alpha_syn = np.array(1.0), np.array(0.9375), np.array([0.875])
    nodes = {
        "input": Input(shape=(INPUTS,)),
        "fc1": Linear(weight=np.full((HIDDEN, INPUTS), 0.5)),
        "lif1": Neuron(shape=(HIDDEN,), v_threshold=one, alpha_mem=alpha_mem, alpha_syn=alpha_syn),
        "fc2": Linear(weight=np.full((OUTPUTS, HIDDEN), 0.5)),
        "lif2": Neuron(
            shape=(OUTPUTS,),
            v_threshold=one,
            alpha_mem=alpha_mem,
            alpha_syn=alpha_syn,
            max_spikes=1,
        ),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=1e-3)

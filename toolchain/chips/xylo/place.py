"""Which neuron ids a layer gets.

Hidden layers take consecutive ids. On Audio 2 any order will do, and the network's own is kept. On
IMU and Audio 3 the input reaches only the first ids and the outputs are reached only from the
last, so layers read by the input go first and layers read by the outputs last. Output neurons
are counted on their own.

Source: Rockpool documentation, Xylo family overview.
"""

from __future__ import annotations

from toolchain.chips.xylo.layers import Layers
from toolchain.chips.xylo.program import Population
from toolchain.hardware import XyloChip

__all__ = ["allocate"]


def allocate(layers: Layers, chip: XyloChip) -> tuple[Population, ...]:
    """One population a layer, hidden ones in the order of their ids, then the output."""
    limits = chip.limits
    anywhere = min(limits.input_expansion.value, limits.output_expansion.value)
    names = [name for name in layers.neurons if name != layers.output]
    if anywhere < limits.hidden_neurons.value:
        names.sort(key=lambda name: _rank(layers, name))
    populations: list[Population] = []
    start = 0
    for name in names:
        stop = start + layers.neurons[name].shape[0]
        populations.append(Population(name=name, role="hidden", start=start, stop=stop))
        start = stop
    outputs = layers.neurons[layers.output].shape[0]
    populations.append(Population(name=layers.output, role="output", start=0, stop=outputs))
    return tuple(populations)


def _rank(layers: Layers, name: str) -> int:
    """0 for what only the input reads, 1 for the middle, 2 for what the outputs read."""
    if any(p.post == layers.output for p in layers.out_of(name)):
        return 2
    return 0 if any(p.pre == layers.input for p in layers.into(name)) else 1

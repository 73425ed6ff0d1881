"""Which neuron ids a layer gets.

Hidden layers take consecutive ids. On Audio 2 any order will do, and the network's own is kept. On
IMU and Audio 3 the input reaches only the first ids and the outputs are reached only from the
last, so layers read by the input go first and layers read by the outputs last. Output neurons
are counted on their own.

Source: Rockpool documentation, Xylo family overview.
"""

from __future__ import annotations

from math import prod

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
        stop = start + prod(layers.neurons[name].shape)
        populations.append(Population(name=name, role="hidden", start=start, stop=stop))
        start = stop
    outputs = prod(layers.neurons[layers.output].shape)
    populations.append(Population(name=layers.output, role="output", start=0, stop=outputs))
    return tuple(populations)


def _rank(layers: Layers, name: str) -> int:
    """0 behind the input, 1 in the middle, 3 before the outputs, 2 for both of these at once."""
    from_input = any(p.pre == layers.input for p in layers.into(name))
    to_output = any(p.post == layers.output for p in layers.out_of(name))
    if to_output:
        return 2 if from_input else 3
    return 0 if from_input else 1

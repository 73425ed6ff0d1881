"""Integers of a XyloProgram from a quantized Graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.dashes import dashes
from toolchain.chips.xylo.lower.blocks import register_blocks
from toolchain.chips.xylo.lower.layers import DenseLayers, read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.readout import readout_of
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph, Membrane, Neuron

__all__ = ["lower"]


def lower(graph: Graph, chip: XyloChip) -> XyloProgram:
    """Return ``graph`` as a program, with neuron ids allocated for ``chip``.

    Requires: the rules on topology pass, weights and thresholds are integers; weights wider than
    the chip's are whole multiples of a power of two, which becomes the shift of their matrix.
    Time constants outside the chip's range are clipped and synapses beyond the second left out; the
    rules on neurons have refused them. Outputs that never spike have the largest threshold.
    Ensures: the program's outputs are the graph's, ``DenseLayers.lag()`` later, except for the
    chip's integer arithmetic and for biases, which act during the lag as well. Where layers are
    summed, aliases replace connections (``aliases``). A network too large for the chip still gives
    a program.
    """
    arranged = arrange(read_layers(graph), chip)
    layers, populations = arranged.layers, arranged.populations
    places = {p.name: p for p in populations}
    hidden = max((p.stop for p in populations if p.role == "hidden"), default=0)
    outputs = max(places[name].stop for name in layers.outputs)
    hungriest = max(node.synapses for node in layers.neurons.values())
    synapses = min(max(1, hungriest), 2)
    return XyloProgram(
        chip=chip.name,
        core=chip.integer_core,
        dt=graph.dt,
        **_shifted(_weights(layers, places, hidden, outputs, synapses), chip),
        **_constants(layers, places, hidden, outputs, chip),
        aliases=_aliases(arranged.aliases, places, hidden),
        max_input_spikes=int(chip.limits.input_spikes.value),
        max_hidden_spikes=int(chip.limits.hidden_spikes.value),
        max_output_spikes=int(chip.limits.output_spikes.value),
        populations=populations,
        input_name=layers.input,
        readout=readout_of(layers.neurons[next(iter(layers.outputs))]),
    )


def _weights(
    layers: DenseLayers, places: dict[str, Population], hidden: int, outputs: int, synapses: int
) -> dict[str, Array]:
    into: dict[str, Array] = {
        "weights_in": np.zeros((layers.inputs, hidden, synapses), np.int64),
        "weights_rec": np.zeros((hidden, hidden, synapses), np.int64),
        "weights_out": np.zeros((hidden, outputs), np.int64),
    }
    for block in register_blocks(layers, places, synapses):
        into[block.register][block.index] += block.words(block.projection.weight)
    return into


def _aliases(
    aliases: Mapping[str, str], places: dict[str, Population], hidden: int
) -> tuple[tuple[int, ...], ...]:
    """Return the alias of each neuron i of a source: neuron i of its target."""
    targets: list[tuple[int, ...]] = [()] * hidden
    for source, target in aliases.items():
        start, ids = places[target].start, places[source]
        for i in range(ids.stop - ids.start):
            targets[ids.start + i] = (start + i,)
    return tuple(targets)


def _shifted(matrices: dict[str, Array], chip: XyloChip) -> dict[str, Any]:
    """Return the matrices in the chip's words, each with the smallest exact left shift.

    Of two equal forms the one without -128 is used: quantizers keep to -127 .. 127.
    """
    most = 2 ** (int(chip.limits.weight_width.value) - 1)
    top = 2 ** int(chip.limits.weight_shift_width.value) - 1
    fields: dict[str, Any] = {}
    for name, weights in matrices.items():
        low, high = int(weights.min()), int(weights.max())
        wide = (s for s in range(top) if -most <= low >> s and high >> s < most)
        shift = next(wide, top)
        lowest = low >> shift == -most
        if lowest and shift < top and not np.any(weights % 2 ** (shift + 1)):
            shift += 1
        if shift and np.any(weights % 2**shift):
            raise ValueError(
                f"{name} need more than {most.bit_length()} bit and are no multiples of {2**shift}"
            )
        stored = weights >> shift if shift else weights
        fields |= {name: stored, name.replace("weights", "weight_shift"): shift}
    return fields


def _constants(
    layers: DenseLayers,
    places: dict[str, Population],
    hidden: int,
    outputs: int,
    chip: XyloChip,
) -> dict[str, Any]:
    top = 2 ** int(chip.limits.dash_width.value) - 1
    rail = np.asarray(2 ** (int(chip.limits.threshold_width.value) - 1) - 1)
    fields = {
        name + suffix: np.full(size, start, np.int64)
        for suffix, size in (("", hidden), ("_out", outputs))
        for name, start in (("dash_mem", 1), ("dash_syn", 1), ("threshold", 1), ("bias", 0))
    }
    fields["dash_syn_2"] = np.zeros(hidden, np.int64)
    for name, node in layers.neurons.items():
        place = places[name]
        suffix = "_out" if place.role == "output" else ""
        ids = slice(place.start, place.stop)
        fields["dash_mem" + suffix][ids] = _dash(node.alpha_mem, node, top)
        threshold = node.v_threshold if isinstance(node, Neuron) else rail
        fields["threshold" + suffix][ids] = _each(threshold, node)
        fields["bias" + suffix][ids] = _each(node.bias, node)
        if node.alpha_syn is not None:
            fields["dash_syn" + suffix][ids] = _dash(node.alpha_syn[..., 0], node, top)
            if node.synapses > 1 and not suffix:
                fields["dash_syn_2"][ids] = _dash(node.alpha_syn[..., 1], node, top)
    return fields


def _dash(alpha: Array, node: Membrane, top: int) -> Array:
    return _each(np.clip(np.rint(dashes(alpha)), 0, top).astype(np.int64), node)


def _each(value: Array, node: Membrane) -> Array:
    """Return ``value`` for every neuron of the layer, flattened."""
    return np.broadcast_to(value, node.shape).ravel()

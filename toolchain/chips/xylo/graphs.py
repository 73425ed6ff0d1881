"""Float and quantized graphs before they become a Xylo program."""

from __future__ import annotations

from collections.abc import Mapping

from toolchain.chips.contract import Options
from toolchain.chips.xylo.lower.integers import lower as to_program
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.maps import without_maps
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.readout import membrane_as_synapse
from toolchain.chips.xylo.rules.neurons import neuron_bias
from toolchain.chips.xylo.rules.topology import topology_is_sound
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph
from toolchain.passes import carry_bias, drop_empty_synapses, fold_gain

__all__ = ["can_lower", "lag", "lags", "lower", "shape"]


def shape(graph: Graph) -> Graph:
    """Return dense layers of neurons, without maps, with biases on neurons alone.

    Synapses without weights are removed; readouts without a synapse get one in place of their
    membrane.
    """
    dense = fold_gain(membrane_as_synapse(without_maps(graph)))
    return drop_empty_synapses(carry_bias(dense))


def can_lower(graph: Graph, chip: XyloChip) -> bool:
    """Return whether layers are joined soundly and no bias is left that the chip's core lacks."""
    return topology_is_sound(graph, chip) and not any(neuron_bias(graph, chip))


def lower(graph: Graph, chip: XyloChip, options: Options) -> XyloProgram:
    """Allocate neurons and fill the registers; there is nothing to set up."""
    del options
    return to_program(graph, chip)


def lags(graph: Graph) -> Mapping[str, int]:
    """Return one timestep for each hop between layers."""
    return read_layers(graph).lags()


def lag(graph: Graph) -> int:
    """Return the lag of the output, less what the graph itself delays there."""
    return read_layers(graph).lag()

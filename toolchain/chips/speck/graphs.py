"""Conversions between graphs and Speck programs, and between events and counts."""

from __future__ import annotations

from collections.abc import Mapping

from toolchain.arrays import Array, Shape
from toolchain.chips.contract import Options
from toolchain.chips.speck.emit.addresses import to_raster
from toolchain.chips.speck.lower.integers import lower as to_program
from toolchain.chips.speck.options import speck_options
from toolchain.chips.speck.outputs import with_readout
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Graph, Neuron
from toolchain.passes import fold_sensor_pool, join_convolutions, linear_to_conv
from toolchain.runs import InputSpikes

__all__ = ["counts", "lag", "lags", "lower", "shape"]


def shape(graph: Graph) -> Graph:
    """Return one convolution before all neurons, with pools behind the sensor folded into it."""
    return fold_sensor_pool(join_convolutions(linear_to_conv(graph)))


def lower(graph: Graph, chip: SpeckChip, options: Options) -> SpeckProgram:
    """Return the program, with the readout block set by ``options``."""
    program, readout = to_program(graph, chip), speck_options(options).readout
    return program if readout is None else with_readout(program, **readout)


def lags(graph: Graph) -> Mapping[str, int]:
    """Return 0 for each layer: events pass all layers within the timestep."""
    return dict.fromkeys(graph.of(Neuron), 0)


def lag(graph: Graph) -> int:
    """Return 0: events pass all layers within the timestep."""
    del graph
    return 0


def counts(events: InputSpikes, shape: Shape, dt: float) -> Array:
    """Convert event arrays to a raster of counts in steps of ``dt`` s."""
    channels, height, width = (*shape, 1, 1)[:3]
    return to_raster(events, (channels, height, width), dt)

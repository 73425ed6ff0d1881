"""Quantized Graph -> SpeckProgram, not yet placed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from toolchain.chips.speck.lower.dense import dense
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Add, Conv2d, Graph, Neuron, Sensor, SumPool2d

__all__ = ["lower", "sources"]


def lower(graph: Graph, chip: SpeckChip) -> SpeckProgram:
    """One core for each convolution with the neurons behind it.

    Requires: the rules on topology hold; weights, biases and thresholds are integers. A
    floor above 0 becomes 0; the rules on layers have refused it.
    Ensures: a clocked run of the program is the graph's, but for saturation of 16-bit membranes;
    what a core has no field for is written as a dense square kernel (see ``dense``).
    A network too large for the chip still gives a program.
    """
    wiring: dict[str, list[Destination]] = {name: [] for name in graph.of(Neuron)}
    inputs: list[Destination] = []
    sensors = graph.of(Sensor)
    for name in graph.of(Neuron):
        for source, pooling in sources(graph, graph.before(name)):
            target = Destination(layer=name, pooling=pooling)
            (inputs if source in (graph.input, *sensors) else wiring[source]).append(target)
    channels, height, width = graph.shape(graph.input)
    return SpeckProgram(
        chip=chip.name,
        dt=graph.dt,
        input_name=graph.input,
        input_shape=(channels, height, width),
        sensor=next((SpeckSensor.of(node, name) for name, node in sensors.items()), None),
        cores=tuple(_core(graph, chip, name, tuple(wiring[name])) for name in graph.of(Neuron)),
        inputs=tuple(inputs),
        outputs=tuple(dict.fromkeys(graph.outputs)),
    )


def sources(graph: Graph, weight: str, passed: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """What ``weight`` reads through sums and pools: (neuron layer, sensor or input; side of pool).

    A sum or pool that feeds itself, some timesteps later, is a source like any other.
    """
    for edge in graph.pre(weight):
        node = graph[edge.pre]
        if not isinstance(node, (Add, SumPool2d)) or edge.pre in passed:
            yield edge.pre, 1
            continue
        side = node.kernel[0] if isinstance(node, SumPool2d) else 1
        for source, pooling in sources(graph, edge.pre, (*passed, edge.pre)):
            yield source, pooling * side


def _core(
    graph: Graph, chip: SpeckChip, name: str, destinations: tuple[Destination, ...]
) -> SpeckCore:
    node = graph[name]
    weight_name = graph.before(name)
    weight = graph[weight_name]
    assert isinstance(node, Neuron)
    assert isinstance(weight, Conv2d)
    channels, height, width = graph.input_shape_of(weight_name)
    kernel = dense(weight, (channels, height, width), chip.limits)
    optional: dict[str, Any] = {}
    if np.any(node.v_init):
        optional["initial"] = np.broadcast_to(node.v_init, node.shape)
    if node.v_min is not None:
        optional["threshold_low"] = min(0, int(node.v_min.flat[0]))
    if weight.bias is not None and np.any(weight.bias):
        optional["bias"] = weight.bias
    return SpeckCore(
        name=name,
        weight_name=weight_name,
        weight=kernel.weight,
        stride=kernel.stride,
        padding=kernel.padding,
        input_shape=(channels, height, width),
        threshold_high=int(node.v_threshold.flat[0]),
        return_to_zero=node.reset != "subtract",
        destinations=destinations,
        monitor=name in graph.outputs,
        **optional,
    )

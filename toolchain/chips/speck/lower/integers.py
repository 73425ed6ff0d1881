"""Lowering of a quantized Graph to a SpeckProgram that is not placed yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from toolchain.chips.speck.lower.dense import dense
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Add, Conv2d, Graph, Neuron, Pad, Sensor, SumPool2d

__all__ = ["lower", "sources"]


def lower(graph: Graph, chip: SpeckChip) -> SpeckProgram:
    """Return a program with one core for each convolution and the neurons behind it.

    Requires: a graph that passes the rules on topology, with integer weights, biases and
    thresholds. A floor above 0 becomes 0; the rules on layers refuse it.
    Ensures: a clocked run of the program equals that of the graph, except for saturation of 16-bit
    membranes; kernels that a core has no field for are dense square ones (see ``dense``).
    A network that is too large for the chip still gives a program.
    """
    wiring: dict[str, list[Destination]] = {name: [] for name in graph.of(Neuron)}
    inputs: list[Destination] = []
    sensors = graph.of(Sensor)
    for name in graph.of(Neuron):
        for source, pooling, shift in sources(graph, graph.before(name)):
            target = Destination(layer=name, pooling=pooling, feature_shift=shift)
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


def sources(
    graph: Graph, weight: str, passed: tuple[str, ...] = ()
) -> Iterator[tuple[str, int, int]]:
    """Yield the sources of ``weight``: (layer, sensor or input; pool side; channels before it).

    They are found through sums, pools and pads. One with a delayed connection to itself is
    yielded as a source.
    """
    for edge in graph.pre(weight):
        node = graph[edge.pre]
        if not isinstance(node, (Add, Pad, SumPool2d)) or edge.pre in passed:
            yield edge.pre, 1, 0
            continue
        side = node.kernel[0] if isinstance(node, SumPool2d) else 1
        first = node.before[0] if isinstance(node, Pad) else 0
        for source, pooling, shift in sources(graph, edge.pre, (*passed, edge.pre)):
            yield source, pooling * side, shift + first


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

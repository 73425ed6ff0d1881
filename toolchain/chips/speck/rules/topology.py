"""How layers may be joined for Speck: rules on the real-valued graph, each yielding findings."""

from __future__ import annotations

from collections.abc import Iterator

from toolchain.chips.rules.findings import Rule, error
from toolchain.chips.rules.graph import sound
from toolchain.chips.speck.lower.integers import sources
from toolchain.chips.speck.rules.graph_sensor import input_pooling, sensor_first
from toolchain.diagnostics import Diagnostic
from toolchain.hardware import SpeckChip
from toolchain.ir import (
    Add,
    AvgPool2d,
    Conv2d,
    Graph,
    Input,
    Neuron,
    Output,
    Scale,
    Sensor,
    SumPool2d,
)

__all__ = ["TOPOLOGY", "topology_is_sound"]


def topology_is_sound(graph: Graph, chip: SpeckChip) -> bool:
    """Whether the graph can be read as cores that send spikes to each other."""
    return sound(graph, chip, TOPOLOGY)


def node_kinds(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Cores convolve, integrate and fire, and sum-pool; nothing else exists."""
    for name, node in graph.nodes.items():
        if isinstance(node, AvgPool2d):
            yield error(
                "node_kinds",
                name,
                f"is an average whose factor no following weight can take; {chip.name} only sums",
            )
        elif isinstance(node, Scale):
            yield error(
                "node_kinds",
                name,
                f"is a factor that no weight beside it can take; {chip.name} has no factors",
            )
        elif not isinstance(node, (Input, Output, Sensor, Conv2d, SumPool2d, Add, Neuron)):
            yield error(
                "node_kinds",
                name,
                f"{type(node).__name__} does not exist on {chip.name}, whose cores convolve, "
                "integrate and fire, and sum-pool",
            )


def feature_maps(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Events have a channel, a row and a column."""
    shape = graph.shape(graph.input)
    if len(shape) != 3:
        yield error(
            "feature_maps",
            graph.input,
            f"has shape {shape}; {chip.name} takes (channels, height, width)",
        )


def weight_then_neuron(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A core is a convolution followed by its own spiking neurons."""
    for name, node in graph.nodes.items():
        if isinstance(node, Neuron):
            first = graph.before(name)
            if not isinstance(graph[first], Conv2d) or graph.after(first) != name:
                yield error(
                    "weight_then_neuron",
                    name,
                    f"is driven by {first!r} ({type(graph[first]).__name__}); a core of "
                    f"{chip.name} has one weight layer of its own before its neurons",
                )
        elif isinstance(node, Conv2d):
            then = graph.after(name)
            if then is None or not isinstance(graph[then], Neuron):
                yield error(
                    "weight_then_neuron",
                    name,
                    f"is not followed by spiking neurons of its own, which a core of {chip.name} "
                    "needs",
                )


def spikes_between_cores(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """What a weight reads, and what leaves the network, are spikes of cores, perhaps pooled."""
    for name, node in graph.nodes.items():
        if isinstance(node, Output) and not isinstance(graph[graph.before(name)], Neuron):
            last = graph.before(name)
            yield error(
                "spikes_between_cores",
                last,
                f"is the network's output; {chip.name} is read out at spiking neurons, before any "
                "pooling",
            )
        if not isinstance(node, Conv2d):
            continue
        read = [source for source, _ in sources(graph, name)]
        for source in read:
            if not isinstance(graph[source], (Neuron, Input, Sensor)):
                yield error(
                    "spikes_between_cores",
                    name,
                    f"reads {source!r} ({type(graph[source]).__name__}); between two weight layers "
                    f"of {chip.name} stand spiking neurons",
                )
        for source in sorted({s for s in read if read.count(s) > 1}):
            yield error(
                "spikes_between_cores",
                name,
                f"reads {source!r} twice, a core of {chip.name} is sent to once",
            )


def feed_forward(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Loops can lock the chip up."""
    for edge in graph.edges:
        if edge.delay:
            yield error(
                "feed_forward",
                edge.post,
                f"gets {edge.pre!r} of an earlier timestep; recurrent connections can dead-lock "
                f"{chip.name}",
            )


TOPOLOGY: tuple[Rule[Graph, SpeckChip], ...] = (
    node_kinds,
    feature_maps,
    weight_then_neuron,
    spikes_between_cores,
    sensor_first,
    input_pooling,
    feed_forward,
)

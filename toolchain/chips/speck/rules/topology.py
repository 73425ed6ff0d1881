"""Rules on the real-valued graph about the connections of layers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

from toolchain.chips.rules.each import At, each
from toolchain.chips.rules.findings import Findings
from toolchain.chips.rules.graph import GraphRules, node_rule, nodes, too_large_to_merge
from toolchain.chips.rules.trial import fits
from toolchain.chips.speck.lower.integers import sources
from toolchain.chips.speck.rules.graph_sensor import input_pooling, sensor_first
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import (
    Add,
    AvgPool2d,
    Conv2d,
    Graph,
    Input,
    Neuron,
    Node,
    Output,
    Pad,
    Scale,
    Sensor,
    SumPool2d,
)

__all__ = ["TOPOLOGY", "topology_is_sound"]


AtNode: TypeAlias = At[Graph, SpeckChip, Node]

KINDS = (Input, Output, Sensor, Conv2d, SumPool2d, Add, Neuron, Pad, AvgPool2d, Scale)


@each(nodes(Node))
def node_kinds(at: AtNode) -> Findings:
    """Check that there are only layers that a core computes, or a connection between cores."""
    node, chip = at.item, at.chip.name
    if isinstance(node, AvgPool2d):
        fault = f"is an average whose factor cannot be folded into a following weight; {chip} only "
        fault += "sums"
    elif isinstance(node, Scale):
        fault = f"is a factor that cannot be folded into a neighbouring weight; {chip} has none"
    elif isinstance(node, Pad) and _moves_more_than_channels(node):
        fault = f"pads or crops by {node.before} and {node.after}; {chip} pads in its convolutions"
    elif not isinstance(node, KINDS):
        fault = f"{type(node).__name__} does not exist on {chip}, whose cores convolve, integrate "
        fault += "and fire, and sum-pool"
    else:
        return
    yield at.finding(fault + too_large_to_merge(at.subject, at.name))


def _moves_more_than_channels(node: Pad) -> bool:
    """Return whether a pad does more than to add channels."""
    return any((*node.before[1:], *node.after[1:])) or min(node.before[0], node.after[0]) < 0


feature_maps = node_rule(
    "feature_maps",
    Input,
    (
        lambda node: len(node.shape) != 3,
        "has shape {node.shape}; {chip} needs (channels, height, width)",
    ),
)


@each(nodes(Node))
def weight_then_neuron(at: AtNode) -> Findings:
    """Check that each convolution is followed by spiking neurons of its own."""
    graph = at.subject
    if isinstance(at.item, Neuron):
        first = graph.before(at.name)
        if not isinstance(graph[first], Conv2d) or graph.after(first) != at.name:
            yield at.finding(
                f"is driven by {first!r} ({type(graph[first]).__name__}); a core of "
                f"{at.chip.name} has one weight layer of its own before its neurons"
            )
    elif isinstance(at.item, Conv2d):
        then = graph.after(at.name)
        if then is None or not isinstance(graph[then], Neuron):
            yield at.finding(
                f"is not followed by spiking neurons of its own, which a core of {at.chip.name} "
                "needs"
            )


@each(nodes(Node))
def spikes_between_cores(at: AtNode) -> Findings:
    """Check that weights read, and the network outputs, spikes of cores."""
    graph, chip = at.subject, at.chip
    if isinstance(at.item, Output):
        last = graph.before(at.name)
        if not isinstance(graph[last], Neuron):
            yield at.finding(
                f"is the network's output; {chip.name} is read out at spiking neurons, before any "
                "pooling",
                where=last,
            )
    if not isinstance(at.item, Conv2d):
        return
    read = [source for source, *_ in sources(graph, at.name)]
    for source in read:
        if not isinstance(graph[source], (Neuron, Input, Sensor)):
            yield at.finding(
                f"reads {source!r} ({type(graph[source]).__name__}); {chip.name} needs spiking "
                "neurons between two weight layers"
            )
    for source in sorted({s for s in read if read.count(s) > 1}):
        yield at.finding(f"reads {source!r} twice, a core of {chip.name} can read a source once")


def _delayed(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield the connections from earlier timesteps: (layer, source)."""
    yield from ((edge.post, edge.pre) for edge in graph.edges if edge.delay)


@each(_delayed)
def feed_forward(at: At[Graph, SpeckChip, str]) -> Findings:
    """Check that there is no recurrent connection, which can dead-lock the chip."""
    yield at.finding(
        f"receives {at.item!r} from an earlier timestep; recurrent connections can dead-lock "
        f"{at.chip.name}"
    )


TOPOLOGY: GraphRules[SpeckChip] = (
    node_kinds,
    feature_maps,
    weight_then_neuron,
    spikes_between_cores,
    sensor_first,
    input_pooling,
    feed_forward,
)

topology_is_sound = partial(fits, rules=TOPOLOGY)
"""Function that returns whether a graph consists of cores that send spikes to each other."""

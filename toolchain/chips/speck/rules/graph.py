"""What Speck cannot do of what a network asks for: rules on the real-valued graph.

``TOPOLOGY`` asks how layers are joined, ``LAYERS`` what each computes. Each rule is a small
function that yields findings. Sizes and integer ranges are asked of the program, in ``rules``.

Max pooling has no rule: no Graph holds it, so extraction refuses it by the layer's name.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.faults import by
from toolchain.chips.speck.lower.dense import dense
from toolchain.chips.speck.lower.integers import sources
from toolchain.chips.speck.program import kernel_words
from toolchain.chips.speck.rules.graph_hints import GraphRule, advised
from toolchain.chips.speck.rules.graph_sensor import input_pooling, sensor_first
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic, Severity
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
from toolchain.report import count

__all__ = ["LAYERS", "TOPOLOGY", "check_graph", "topology_is_sound"]


def check_graph(graph: Graph, chip: SpeckChip) -> tuple[Diagnostic, ...]:
    """Every finding about what the network is made of, in rule order, with its hint."""
    return advised(graph, chip, (*TOPOLOGY, *LAYERS))


def topology_is_sound(graph: Graph, chip: SpeckChip) -> bool:
    """Whether the graph can be read as cores that send spikes to each other."""
    return not any(
        found.severity is Severity.ERROR for rule in TOPOLOGY for found in rule(graph, chip)
    )


# ---- how layers are joined ----


def node_kinds(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Cores convolve, integrate and fire, and sum-pool; nothing else exists."""
    for name, node in graph.nodes.items():
        if isinstance(node, AvgPool2d):
            yield _error(
                "node_kinds",
                name,
                f"is an average whose factor no following weight can take; {chip.name} only sums",
            )
        elif isinstance(node, Scale):
            yield _error(
                "node_kinds",
                name,
                f"is a factor that no weight beside it can take; {chip.name} has no factors",
            )
        elif not isinstance(node, (Input, Output, Sensor, Conv2d, SumPool2d, Add, Neuron)):
            yield _error(
                "node_kinds",
                name,
                f"{type(node).__name__} does not exist on {chip.name}, whose cores convolve, "
                "integrate and fire, and sum-pool",
            )


def feature_maps(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Events have a channel, a row and a column."""
    shape = graph.shape(graph.input)
    if len(shape) != 3:
        yield _error(
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
                yield _error(
                    "weight_then_neuron",
                    name,
                    f"is driven by {first!r} ({type(graph[first]).__name__}); a core of "
                    f"{chip.name} has one weight layer of its own before its neurons",
                )
        elif isinstance(node, Conv2d):
            then = graph.after(name)
            if then is None or not isinstance(graph[then], Neuron):
                yield _error(
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
            yield _error(
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
                yield _error(
                    "spikes_between_cores",
                    name,
                    f"reads {source!r} ({type(graph[source]).__name__}); between two weight layers "
                    f"of {chip.name} stand spiking neurons",
                )
        for source in sorted({s for s in read if read.count(s) > 1}):
            yield _error(
                "spikes_between_cores",
                name,
                f"reads {source!r} twice, a core of {chip.name} is sent to once",
            )


def feed_forward(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Loops can lock the chip up."""
    for edge in graph.edges:
        if edge.delay:
            yield _error(
                "feed_forward",
                edge.post,
                f"gets {edge.pre!r} of an earlier timestep; recurrent connections can dead-lock "
                f"{chip.name}",
            )


TOPOLOGY: tuple[GraphRule, ...] = (
    node_kinds,
    feature_maps,
    weight_then_neuron,
    spikes_between_cores,
    sensor_first,
    input_pooling,
    feed_forward,
)

# ---- what each layer computes ----


def integrate_and_fire(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Neurons integrate without exponential leak and without synaptic current."""
    for name, node in graph.of(Neuron).items():
        if np.any(node.alpha_mem != 1):
            yield _error(
                "integrate_and_fire",
                name,
                f"decays exponentially; neurons of {chip.name} only integrate",
            )
        if node.alpha_syn is not None:
            yield _error(
                "integrate_and_fire",
                name,
                f"has a synaptic current; neurons of {chip.name} have none",
            )


def reset(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """After a spike the membrane loses its threshold or returns to zero, in the same step."""
    for name, node in graph.of(Neuron).items():
        zero = node.reset in ("value", "additive") and not np.any(node.v_reset)
        subtract = node.reset == "subtract" and (
            node.reset_amount is None or not np.any(node.reset_amount != node.v_threshold)
        )
        if node.reset_when != "same" or not (zero or subtract):
            how = node.reset if node.reset_when == "same" else f"{node.reset}, {node.reset_when}"
            yield _error(
                "reset",
                name,
                f"resets by {how!r}; {chip.name} subtracts the threshold or returns to zero, at "
                "once",
            )


def comparison(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A neuron fires at its threshold, not only above it."""
    for name, node in graph.of(Neuron).items():
        if node.compare != "ge":
            yield _error("comparison", name, f"fires only above its threshold, {chip.name} at it")


def one_number_a_core(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Threshold and floor are shared by all neurons of a core."""
    for name, node in graph.of(Neuron).items():
        for field in ("v_threshold", "v_min"):
            value: Array | None = getattr(node, field)
            if value is not None and np.any(value != value.flat[0]):
                yield _error(
                    "one_number_a_core",
                    name,
                    f"has {len(np.unique(value))} different values of {field}, a core of "
                    f"{chip.name} has one",
                )


def membrane_floor(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """The floor of a membrane is not above its rest."""
    for name, node in graph.of(Neuron).items():
        if node.v_min is not None and np.any(node.v_min > 0):
            yield _error(
                "membrane_floor",
                name,
                f"has a membrane floor (v_min) of {node.v_min.max():g}, {chip.name} takes 0 or "
                "less",
            )


def plain_neurons(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Membranes rest at 0, have no bias of their own, and a spike counts 1."""
    for name, node in graph.of(Neuron).items():
        for field, usual in (("v_leak", 0), ("bias", 0), ("spike_scale", 1), ("gain", 1)):
            if np.any(getattr(node, field) != usual):
                yield _error(
                    "plain_neurons", name, f"{field} is not {usual}, which {chip.name} cannot hold"
                )
        if node.max_spikes is not None:
            yield _error(
                "plain_neurons",
                name,
                f"is capped at {node.max_spikes} spike{'s' * (node.max_spikes != 1)} a step; "
                f"{chip.name} has no such cap",
            )


def dense_kernel(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A core has no field for groups, dilation and a second side; zeros say the same, at a cost."""
    for name, node in graph.of(Conv2d).items():
        kernel = dense(node, graph.input_shape_of(name), chip.limits)
        own, made = node.weight.shape, kernel.weight.shape
        if own == made:
            continue
        message = (
            f"{_unusual(node)} written as one dense {made[2]}x{made[3]} kernel, exactly: "
            f"{count(kernel.weight.size - node.weight.size)} of {count(kernel.weight.size)} "
            f"weights are zeros. It takes {count(kernel_words(made))} kernel words, of which "
            f"{count(kernel_words(own))} would hold the weights, and on {chip.name} each zero is "
            "an update too"
        )
        yield Diagnostic(
            rule="dense_kernel",
            severity=Severity.INFO,
            where=name,
            message=message,
            need=kernel_words(made),
            source=chip.cite(chip.limits.kernel_size),
        )


def _unusual(node: Conv2d) -> str:
    """What a core has no field for: ``2 groups and dilation 1x3``."""
    height, width = node.weight.shape[2:]
    found = [f"{node.groups} groups"] * (node.groups != 1)
    found += [f"dilation {by(node.dilation)}"] * (node.dilation != (1, 1))
    found += [f"kernel {height}x{width}"] * (height != width)
    return " and ".join(found)


def square_pooling(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Pools are square, and their windows do not overlap."""
    for name, node in graph.of(SumPool2d).items():
        if node.kernel[0] != node.kernel[1] or node.stride != node.kernel:
            yield _error(
                "square_pooling",
                name,
                f"pools {node.kernel} with stride {node.stride}; {chip.name} pools squares with "
                "the stride of their side",
            )


LAYERS: tuple[GraphRule, ...] = (
    integrate_and_fire,
    reset,
    comparison,
    one_number_a_core,
    membrane_floor,
    plain_neurons,
    dense_kernel,
    square_pooling,
)


def _error(rule: str, where: str, message: str) -> Diagnostic:
    return Diagnostic(rule=rule, severity=Severity.ERROR, where=where, message=message)

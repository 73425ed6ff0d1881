"""How layers may be joined for Xylo: rules on the real-valued graph, each yielding findings."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from toolchain.chips.rules.findings import Rule, at_most, error, parts
from toolchain.chips.rules.graph import sound
from toolchain.diagnostics import Diagnostic, count
from toolchain.hardware import XyloChip
from toolchain.ir import Add, Flatten, Graph, Input, Linear, Neuron, Output
from toolchain.passes.unroll import UNROLLED
from toolchain.passes.weights import weights_of

__all__ = ["TOPOLOGY", "topology_is_sound"]

WEIGHTS = (Linear, *UNROLLED)
"""What drives neurons; all but the first is refused by name, where it is left."""


def topology_is_sound(graph: Graph, chip: XyloChip) -> bool:
    """Whether the graph can be read as populations and projections."""
    return sound(graph, chip, TOPOLOGY)


def node_kinds(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Only dense weights, sums of them and spiking neurons exist on the core."""
    for name, node in graph.nodes.items():
        if isinstance(node, (Input, Output, Linear, Add, Neuron)) or _passed(graph, name):
            continue
        yield error(
            "node_kinds",
            name,
            f"{type(node).__name__} does not exist on {chip.name}, which has dense weights and "
            f"spiking neurons{_written_out(graph, name)}",
        )


def _passed(graph: Graph, name: str) -> bool:
    """Whether that flattens the input, or maps of which is said already that they are left."""
    on_input = isinstance(graph[graph.before(name)], Input)
    return isinstance(graph[name], Flatten) and (on_input or _on_maps(graph))


def _on_maps(graph: Graph) -> bool:
    return any(isinstance(node, UNROLLED) for node in graph.nodes.values())


def _written_out(graph: Graph, name: str) -> str:
    """What a layer on maps would take; small ones were written out before any rule is asked."""
    if not isinstance(graph[name], UNROLLED):
        return ""
    rows, columns = prod(graph.shape(name)), prod(graph.input_shape_of(name))
    return f"; written out it would be {count(rows)} x {count(columns)} weights"


def size_of_maps(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A network on maps that was not written out, counted as if it had been.

    Other networks are lowered, and then the program's own rules count.
    """
    if not _on_maps(graph):
        return
    limits, rule = chip.limits, "size_of_maps"
    sizes = {name: prod(graph.shape(name)) for name in (graph.input, *graph.of(Neuron))}
    inputs = sizes.pop(graph.input)
    yield from at_most(rule, chip, graph.input, inputs, "input channels", limits.input_channels)
    outputs = {name: sizes.pop(name) for name in graph.outputs if name in sizes}
    for name, size in outputs.items():
        yield from at_most(rule, chip, name, size, "output neurons", limits.output_neurons)
    hidden = [*sizes.items()]
    where, need = ", ".join(sizes), sum(sizes.values())
    limit, note = limits.hidden_neurons, parts(hidden)
    yield from at_most(rule, chip, where, need, "hidden neurons", limit, note)


def weights_before_neurons(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Every neuron is driven by weights alone, and weights by spikes alone."""
    for name, node in graph.nodes.items():
        for kind, wanted in ((Neuron, WEIGHTS), (Linear, (Neuron, Input, *UNROLLED))):
            if not isinstance(node, kind):
                continue
            for source in _sources(graph, name):
                if not isinstance(graph[source], wanted):
                    yield error(
                        "weights_before_neurons",
                        name,
                        f"is driven by {source!r} ({type(graph[source]).__name__}); {chip.name} "
                        "alternates between weights and spiking neurons",
                    )


def own_weights(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A weight drives one layer, so that the layer can have a scale of its own."""
    for name, node in graph.of(Neuron).items():
        driven = all(isinstance(graph[source], Linear) for source in _sources(graph, name))
        if driven and node.shape and weights_of(graph, name) is None:
            yield error(
                "own_weights",
                name,
                f"shares its weights with another layer; {chip.name} stores them once for each "
                "(use two layers)",
            )


def one_connection(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A pair of layers has one weight matrix between them."""
    for post in graph.of(Neuron):
        seen: dict[str, str] = {}
        weights = [name for name in _sources(graph, post) if isinstance(graph[name], Linear)]
        for weight in weights:
            for pre in _sources(graph, weight):
                if pre not in seen:
                    seen[pre] = weight
                    continue
                first = seen[pre]
                how = "twice" if first == weight else f"as {first!r} does"
                yield error(
                    "one_connection",
                    weight,
                    f"joins {pre!r} and {post!r} {how}; {chip.name} holds one weight for each "
                    "pair of neurons",
                )


def readout_layer(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """The last neuron layer is read out, feeds nothing else, and has a hidden layer before it."""
    (output, *more) = graph.outputs
    for name in more:
        yield error("readout_layer", name, f"is a second output; {chip.name} has one")
    if not isinstance(graph[output], Neuron):
        yield error(
            "readout_layer",
            output,
            f"is the network's output but no spiking layer; {chip.name} is read out at spiking "
            "neurons",
        )
        return
    if any(not isinstance(graph[edge.post], Output) for edge in graph.post(output)):
        yield error(
            "readout_layer",
            output,
            f"feeds other layers; output neurons of {chip.name} cannot (train with a separate "
            "readout layer)",
        )
    fed_by_input = [
        w
        for w in _sources(graph, output)
        if isinstance(graph[w], Linear) and graph.input in _sources(graph, w)
    ]
    if fed_by_input:
        yield error(
            "readout_layer",
            output,
            f"is driven by the input through {fed_by_input[0]!r}; output neurons of {chip.name} "
            "listen to hidden neurons only",
        )


def _sources(graph: Graph, name: str, passed: tuple[str, ...] = ()) -> Iterator[str]:
    """What feeds ``name``, looking through sums and a flattened input.

    A sum that feeds itself, some timesteps later, is a source like any other.
    """
    for edge in graph.pre(name):
        node = graph[edge.pre]
        if isinstance(node, (Add, Flatten)) and edge.pre not in passed:
            yield from _sources(graph, edge.pre, (*passed, edge.pre))
        else:
            yield edge.pre


TOPOLOGY: tuple[Rule[Graph, XyloChip], ...] = (
    node_kinds,
    size_of_maps,
    weights_before_neurons,
    own_weights,
    one_connection,
    readout_layer,
)

"""Rules on the connections of layers: on the real-valued graph, each yielding findings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import TypeAlias

from toolchain.chips.rules.each import At, each
from toolchain.chips.rules.findings import Findings, at_most, error, parts
from toolchain.chips.rules.graph import GraphRules, nodes, too_large_to_merge
from toolchain.chips.rules.trial import fits
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import (
    Add,
    Flatten,
    Graph,
    Input,
    Linear,
    Membrane,
    MembraneReadout,
    Neuron,
    Node,
    Output,
)
from toolchain.passes.unroll import UNROLLED
from toolchain.passes.weights import weights_of
from toolchain.report import count

__all__ = ["TOPOLOGY", "topology_is_sound"]

WEIGHTS = (Linear, *UNROLLED)
"""Nodes that may drive neurons; all but the first have findings of their own if they remain."""

AtNode: TypeAlias = At[Graph, XyloChip, Node]


@each(nodes(Node))
def node_kinds(at: AtNode) -> Findings:
    """Check that the graph has only dense weights, sums of them and spiking neurons."""
    known = isinstance(at.item, (Input, Output, Linear, Add, Neuron)) or _last(at.subject, at.name)
    if not known and not _passed(at.subject, at.name):
        yield at.finding(
            f"{type(at.item).__name__} does not exist on {at.chip.name}, which has dense weights "
            f"and spiking neurons{_written_out(at.subject, at.name)}"
        )


def _last(graph: Graph, name: str) -> bool:
    """Return whether a node is a membrane that is an output of the network."""
    return isinstance(graph[name], MembraneReadout) and name in graph.outputs


def _passed(graph: Graph, name: str) -> bool:
    """Return whether a node flattens the input, or maps that have findings of their own."""
    on_input = isinstance(graph[graph.before(name)], Input)
    return isinstance(graph[name], Flatten) and (on_input or _on_maps(graph))


def _on_maps(graph: Graph) -> bool:
    return any(isinstance(node, UNROLLED) for node in graph.nodes.values())


def _written_out(graph: Graph, name: str) -> str:
    """Return a note on the dense size of a layer on maps that was too large to expand."""
    if not isinstance(graph[name], UNROLLED):
        return too_large_to_merge(graph, name)
    rows, columns = prod(graph.shape(name)), prod(graph.input_shape_of(name))
    return f"; as dense weights it would take {count(rows)} x {count(columns)} weights"


def size_of_maps(graph: Graph, chip: XyloChip) -> Findings:
    """Check the sizes of a network on maps that was not expanded to dense weights.

    Other networks are lowered, and the rules on programs check their sizes.
    """
    if not _on_maps(graph):
        return
    limits, rule = chip.limits, "size_of_maps"
    sizes = {name: prod(graph.shape(name)) for name in (graph.input, *graph.of(Membrane))}
    inputs = sizes.pop(graph.input)
    yield from at_most(rule, chip, graph.input, inputs, "input channels", limits.input_channels)
    outputs = {name: sizes.pop(name) for name in graph.outputs if name in sizes}
    where, need, limit = ", ".join(outputs), sum(outputs.values()), limits.output_neurons
    note = parts([*outputs.items()]) if len(outputs) > 1 else ""
    yield from at_most(rule, chip, where, need, "output neurons", limit, note)
    hidden = [*sizes.items()]
    where, need = ", ".join(sizes), sum(sizes.values())
    limit, note = limits.hidden_neurons, parts(hidden)
    yield from at_most(rule, chip, where, need, "hidden neurons", limit, note)


@each(nodes(Node))
def weights_before_neurons(at: AtNode) -> Findings:
    """Check that weights drive every neuron, and spikes every weight."""
    for kind, wanted in ((Membrane, WEIGHTS), (Linear, (Neuron, Input, *UNROLLED))):
        for source in _sources(at.subject, at.name) if isinstance(at.item, kind) else ():
            if not isinstance(at.subject[source], wanted):
                yield at.finding(
                    f"is driven by {source!r} ({type(at.subject[source]).__name__}); "
                    f"{at.chip.name} alternates between weights and spiking neurons"
                )


@each(nodes(Membrane))
def own_weights(at: At[Graph, XyloChip, Membrane]) -> Findings:
    """Check that a weight drives one layer only, so that the layer can have its own scale."""
    graph = at.subject
    driven = all(isinstance(graph[source], Linear) for source in _sources(graph, at.name))
    if driven and at.item.shape and weights_of(graph, at.name) is None:
        yield at.finding(
            f"shares its weights with another layer; {at.chip.name} stores them once for each "
            "(use two layers)"
        )


@each(nodes(Membrane))
def one_connection(at: At[Graph, XyloChip, Membrane]) -> Findings:
    """Check that a pair of layers has one weight matrix between them."""
    graph, seen = at.subject, dict[str, str]()
    weights = [name for name in _sources(graph, at.name) if isinstance(graph[name], Linear)]
    for weight in weights:
        for pre in _sources(graph, weight):
            if pre not in seen:
                seen[pre] = weight
                continue
            how = "twice" if seen[pre] == weight else f"as {seen[pre]!r} does"
            yield at.finding(
                f"connects {pre!r} and {at.name!r} {how}; {at.chip.name} stores one weight for "
                "each pair of neurons",
                where=weight,
            )


def readout_layer(graph: Graph, chip: XyloChip) -> Findings:
    """Check that each output is a layer of neurons that feeds nothing and follows a hidden one."""
    names = dict.fromkeys(graph.outputs)
    for name in names:
        yield from _read_out(graph, chip, name)
        if len(names) > 1 and isinstance(graph[name], MembraneReadout):
            yield error(
                "readout_layer",
                name,
                "is read as a state beside another output; states are read of one output layer "
                "(join the outputs into one layer)",
            )


def _read_out(graph: Graph, chip: XyloChip, output: str) -> Findings:
    if not isinstance(graph[output], Membrane):
        yield error(
            "readout_layer",
            output,
            f"is the network's output but not a layer of neurons; the outputs of {chip.name} are "
            "neurons, of which spikes, membranes or currents are read",
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
            "receive spikes of hidden neurons only",
        )


def _sources(graph: Graph, name: str, passed: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the sources of ``name``, looking through sums and a flattened input.

    A sum that feeds itself, some timesteps later, is a source like any other.
    """
    for edge in graph.pre(name):
        node = graph[edge.pre]
        if isinstance(node, (Add, Flatten)) and edge.pre not in passed:
            yield from _sources(graph, edge.pre, (*passed, edge.pre))
        else:
            yield edge.pre


TOPOLOGY: GraphRules[XyloChip] = (
    node_kinds,
    size_of_maps,
    weights_before_neurons,
    own_weights,
    one_connection,
    readout_layer,
)

topology_is_sound = partial(fits, rules=TOPOLOGY)
"""Return whether the graph can be read as populations and projections."""

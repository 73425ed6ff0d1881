"""Edits of a float network that make it fit a Speck chip: fewer channels, layers, other neurons.

They follow the rules on graphs and programs, whose findings they are offered against.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from math import prod

import numpy as np

from toolchain.chips.graph_edits import GraphEdit, edits_by_rule, fewer_features, shares
from toolchain.chips.rules.hints import largest
from toolchain.chips.speck.lower.integers import lower, sources
from toolchain.chips.speck.lower.place import cores_that_fit, overfull_groups, placement_errors
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules.edits import split, with_outputs
from toolchain.chips.speck.rules.graph_hints import REWRITES, lower_floor
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic, GraphError
from toolchain.ir import Add, Conv2d, Edge, Graph, Membrane, Neuron, Output, Pad
from toolchain.passes.prune_neurons import features_of
from toolchain.passes.weights import scaled
from toolchain.report import plural

__all__ = ["edits"]

WAYS = 3
"""Most layers of which one is removed."""


def fewer_channels(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove channels of the layers that are too large: behind their kernels, before, or both.

    Of each way the most channels stay that fit a core.
    """
    members = _members(graph, chip, finding)
    before = {name: _sources(graph, name) for name in members}
    behind = {name: [name] for name in members}
    both = {name: [*before[name], name] for name in members}
    chosen = [
        (part, [*dict.fromkeys(n for name in some for n in ways[name] if n not in graph.outputs)])
        for part, ways in (("out", behind), ("in", before), ("both", both))
        for some in ([name] for name in members)
    ]
    if len(members) > 1:
        every = [n for name in members for n in both[name] if n not in graph.outputs]
        chosen.append(("all", [*dict.fromkeys(every)]))
    program = _program(graph, chip)
    seen: set[tuple[str, ...]] = set()
    for part, layers in chosen:
        if layers and (*layers,) not in seen:
            seen.add((*layers,))
            kept = _most_that_fits(program, chip, layers, members)
            yield from fewer_features(graph, kept, f"fewer_channels_{part}")


def _most_that_fits(
    program: SpeckProgram, chip: SpeckChip, layers: list[str], members: Collection[str]
) -> dict[str, int]:
    """Return as many channels of ``layers``, in proportion, as fit; nothing if none do."""
    sizes = {layer: program[layer].weight.shape[0] for layer in layers}

    def enough(number: int) -> bool:
        smaller: SpeckProgram | None = program
        for layer, most in shares(sizes, number).items():
            smaller = None if smaller is None else with_outputs(smaller, layer, most)
        return smaller is not None and _fits(smaller, chip, members)

    most = largest(sum(sizes.values()), enough)
    return shares(sizes, most) if most else {}


def _members(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> tuple[str, ...]:
    """Return the neuron layers that a finding is about."""
    if finding.rule == "placement":
        for layers, _ in overfull_groups(_program(graph, chip), chip, {}):
            if layers[0].name == finding.where:
                return tuple(core.name for core in layers)
    return tuple(n for n in graph.of(Neuron) if finding.where in (n, graph.before(n)))


def _sources(graph: Graph, name: str) -> list[str]:
    """Return the neuron layers whose channels a layer reads."""
    found = (source for source, *_ in sources(graph, graph.before(name)))
    return [source for source in found if isinstance(graph[source], Neuron)]


def _fits(program: SpeckProgram, chip: SpeckChip, members: Collection[str]) -> bool:
    most = chip.limits.channels.value
    wide = any(max(program[n].weight.shape[:2]) > most for n in members)
    return not wide and not any(e.where in members for e in placement_errors(program, chip))


def _program(graph: Graph, chip: SpeckChip) -> SpeckProgram:
    """Return a program of the sizes of the network; its integers mean nothing."""

    def kernel(_: str, node: Conv2d) -> Conv2d:
        bias = None if node.bias is None else np.sign(node.bias).astype(np.int64)
        return replace(node, weight=np.sign(node.weight).astype(np.int64), bias=bias)

    def neurons(_: str, node: Neuron) -> Neuron:
        one = np.ones((), dtype=np.int64)
        return replace(node, v_threshold=one, v_min=None, v_init=np.zeros((), dtype=np.int64))

    return lower(graph.map(Conv2d, kernel).map(Neuron, neurons), chip)


def two_cores(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Divide a layer into two, each with half of its channels: the same spikes, from two cores."""
    if len(graph.of(Neuron)) >= len(chip.cores):
        return
    program = _program(graph, chip)
    for name in _members(graph, chip, finding):
        weight, node, size = graph.before(name), graph[name], graph.shape(name)[0]
        kernel = graph[weight]
        if not isinstance(kernel, Conv2d) or not isinstance(node, Neuron) or kernel.groups != 1:
            continue
        if name in graph.outputs or size < 2 or not _halves_fit(program, chip, name):
            continue
        half, nodes, rest = size // 2, graph.nodes, " (rest)"
        while {f"{name}{rest}", f"{weight}{rest}"} & nodes.keys():
            rest += "'"
        total = f"{name}.sum{rest}"
        edges = [e for e in graph.edges if weight not in (e.pre, e.post)]
        edges = [replace(e, pre=total) if e.pre == name else e for e in edges]
        for first, last, own in ((0, half, ""), (half, size, rest)):
            bias = None if kernel.bias is None else kernel.bias[first:last]
            part, spikes, pad = f"{weight}{own}", f"{name}{own}", f"{name}{own}.pad{rest}"
            nodes[part] = replace(kernel, weight=kernel.weight[first:last], bias=bias)
            nodes[spikes] = features_of(node, np.arange(first, last))
            nodes[pad] = Pad(before=(first, 0, 0), after=(size - last, 0, 0))
            edges += [replace(e, post=part) for e in graph.pre(weight)]
            edges += [Edge(part, spikes), Edge(spikes, pad), Edge(pad, total)]
        nodes[total] = Add()
        words = f"{weight!r} on two cores, with {half} and {size - half} output channels"
        changed = Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)
        yield GraphEdit(name="two_cores", words=words, graph=changed)


def _halves_fit(program: SpeckProgram, chip: SpeckChip, name: str) -> bool:
    before = {core.name for core in program.cores}
    parts = split(program, name)
    halves = [core for core in parts.cores if core.name == name or core.name not in before]
    return all(cores_that_fit(core, chip) for core in halves)


def no_bias(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove the biases of a layer, which then take no memory."""
    del chip
    name = graph.before(finding.where) if finding.where in graph.of(Neuron) else finding.where
    node = graph[name]
    if isinstance(node, Conv2d):
        changed = graph.replace({name: replace(node, bias=None)})
        yield GraphEdit(name="no_bias", words=f"no bias of {name!r}", graph=changed)


# ---- fewer layers ----


def fewer_layers(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove a layer whose output has the shape of its input, the one of fewest weights first."""
    del chip, finding
    weights = {name: graph.before(name) for name in graph.of(Neuron) if name not in graph.outputs}
    alike = [n for n, w in weights.items() if graph.input_shape_of(w) == graph.shape(n)]
    sizes = {n: graph[weights[n]].parameters()["weight"].size for n in alike}
    for name in sorted(alike, key=lambda n: (sizes[n], n))[:WAYS]:
        words = f"without the layer {weights[name]!r}, {name!r}"
        smaller = graph.drop(name).drop(weights[name])
        yield GraphEdit(name="fewer_layers", words=words, graph=smaller)


def merged_layers(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove the neurons of a layer, the smallest first: its weights and the next become one."""
    del chip, finding
    inner = [name for name in graph.of(Neuron) if name not in graph.outputs]
    for name in sorted(inner, key=lambda n: (prod(graph.shape(n)), n))[:WAYS]:
        weight, node = graph.before(name), graph[name]
        first = graph[weight]
        if not isinstance(first, Conv2d) or not isinstance(node, Neuron):
            continue
        rate = scaled(first, 1 / node.v_threshold.mean())
        words = f"no neurons {name!r}: {weight!r} and the weights behind it as one kernel"
        smaller = graph.replace({weight: rate}).drop(name)
        yield GraphEdit(name="merged_layers", words=words, graph=smaller)


def no_recurrence(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove the recurrent connections."""
    del chip, finding
    delayed = [edge for edge in graph.edges if edge.delay]
    edges = [edge for edge in graph.edges if not edge.delay]
    nodes = graph.nodes
    while True:
        feeding, fed = {e.pre for e in edges}, {e.post for e in edges}
        lost = {
            name
            for name, node in nodes.items()
            if (name not in feeding and not isinstance(node, Output))
            or (name not in fed and name != graph.input)
        }
        if not lost:
            break
        nodes = {name: node for name, node in nodes.items() if name not in lost}
        edges = [e for e in edges if e.pre not in lost and e.post not in lost]
    for name, node in [*nodes.items()]:
        before = [e for e in edges if e.post == name]
        if isinstance(node, Add) and len(before) == 1:
            edges = [
                replace(e, pre=before[0].pre) if e.pre == name else e
                for e in edges
                if e.post != name
            ]
            del nodes[name]
    try:
        changed = Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)
    except GraphError:  # a layer is reached through an earlier timestep only
        return
    words = f"without {plural(len(delayed), 'recurrent connection')}"
    yield GraphEdit(name="no_recurrence", words=words, graph=changed)


# ---- neurons that the chip has ----

NAMES = {
    "node_kinds": "sum_pool",
    "integrate_and_fire": "no_leak",
    "reset": "subtract_threshold",
    "comparison": "fire_at_threshold",
    "one_number_a_core": "one_value",
    "membrane_floor": "lower_floor",
    "plain_neurons": "plain_neurons",
}
"""Names of the rewrites of ``graph_hints``, by rule."""


def rewritten(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Replace the layer by one that the chip has."""
    del chip
    found = REWRITES[finding.rule](graph[finding.where]) if finding.where in graph else None
    if found is None or (finding.rule == "node_kinds" and finding.where in graph.outputs):
        return
    words, node = found
    words = f"{finding.where!r}: {_short(words)}"
    try:
        changed = graph.replace({finding.where: node})
    except GraphError:  # the next layer expects another shape
        return
    if isinstance(node, Membrane) or finding.rule == "node_kinds":
        yield GraphEdit(name=NAMES[finding.rule], words=words, graph=changed)


def floor_below_rest(graph: Graph, chip: SpeckChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Set the floor of a layer as far below rest as its threshold is above."""
    del chip
    name = finding.where
    found = lower_floor(graph[name]) if name in graph else None
    if found is not None:
        words, node = found
        changed = graph.replace({name: node})
        yield GraphEdit(name="lower_floor", words=f"{name!r}: {_short(words)}", graph=changed)


def _short(words: str) -> str:
    """Return the words of a rewrite without what every one of them says."""
    return words.removesuffix(": supported").removesuffix(" is supported")


edits = edits_by_rule(
    {
        **dict.fromkeys(NAMES, (rewritten,)),
        "threshold_low": (floor_below_rest,),
        "feed_forward": (no_recurrence,),
        "channels": (fewer_channels,),
        "kernel_memory": (two_cores, fewer_channels),
        "neuron_memory": (two_cores, fewer_channels),
        "bias_memory": (two_cores, no_bias, fewer_channels),
        "placement": (two_cores, fewer_channels),
        "core_count": (fewer_layers, merged_layers),
    }
)
"""Yields the edits of a graph against a finding."""

"""Edits of a float network that make it fit a Xylo chip: fewer connections, neurons, synapses.

They follow the program's rules (``program``), whose findings they are offered against.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.graph_edits import GraphEdit, edits_by_rule, fewer_features, rows_of, shares
from toolchain.chips.rules.hints import largest
from toolchain.chips.xylo.lower.layers import DenseLayers, Projection, read_layers
from toolchain.chips.xylo.rules.windows import fewer_in_window, within_windows
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph, Linear, Membrane, Node
from toolchain.passes.prune import largest_of_all, largest_of_columns, prune_weights, strengths
from toolchain.passes.prune_neurons import feature_strengths, keep_features, strongest
from toolchain.passes.weights import weights_of
from toolchain.report import count, plural

__all__ = ["edits"]


def prune_fan_out(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Keep the strongest connections of each neuron of the layer."""
    most = int(chip.limits.fan_out.value)
    layers = read_layers(graph)
    projections = [p for p in layers.out_of(finding.where) if p.post not in layers.outputs]
    sizes = _strengths(graph, projections)
    kept = largest_of_columns(np.concatenate([*sizes.values()]), most)
    ends = np.cumsum([len(size) for size in sizes.values()])[:-1]
    yield _pruned(
        graph,
        dict(zip(sizes, np.split(kept, ends), strict=True)),
        name="prune_fan_out",
        words=f"keep the {plural(most, 'strongest target')} of each neuron of {finding.where!r}",
    )


def prune_memory(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Keep the strongest of all connections between hidden neurons."""
    del finding
    most = int(chip.limits.fan_out_memory.value)
    sizes = _strengths(graph, _between_hidden(read_layers(graph)))
    kept = largest_of_all(np.concatenate([size.ravel() for size in sizes.values()]), most)
    ends = np.cumsum([size.size for size in sizes.values()])[:-1]
    parts = zip(sizes.items(), np.split(kept, ends), strict=True)
    yield _pruned(
        graph,
        {name: part.reshape(size.shape) for (name, size), part in parts},
        name="prune_memory",
        words=f"keep the {count(most)} strongest connections between hidden neurons",
    )


def _between_hidden(layers: DenseLayers) -> list[Projection]:
    return [p for p in layers.projections if p.pre != layers.input and p.post not in layers.outputs]


def _strengths(graph: Graph, projections: list[Projection]) -> dict[str, Array]:
    """Return the strengths (neurons, sources) by name of the weight, each weight once."""
    return {p.name: strengths(graph, p.name) for p in projections}


def _pruned(graph: Graph, kept: Mapping[str, Array], name: str, words: str) -> GraphEdit:
    before = {weight: strengths(graph, weight) > 0 for weight in kept}
    entries = sum(int(mask.sum()) for mask in before.values())
    gone = entries - sum(int((mask & before[weight]).sum()) for weight, mask in kept.items())
    masks = {
        weight: rows_of(mask, graph.shape(weight)[0] // len(mask)) for weight, mask in kept.items()
    }
    return GraphEdit(
        name=name,
        words=f"{words}: {count(gone)} of {count(entries)} removed",
        graph=prune_weights(graph, masks),
    )


# ---- fewer neurons ----


def fewer_of_all(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove the weakest neurons of every hidden layer, in proportion to their sizes."""
    del finding
    hidden = _hidden(graph)
    total = int(chip.limits.hidden_neurons.value)
    kept = shares({name: prod(graph.shape(name)) for name in hidden}, total)
    features = {n: most * graph.shape(n)[0] // prod(graph.shape(n)) for n, most in kept.items()}
    yield from fewer_features(graph, features, "fewer_neurons")


def fewer_of_largest(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove the weakest neurons of the largest hidden layer, where there are several."""
    del finding
    sizes = {name: prod(graph.shape(name)) for name in _hidden(graph)}
    if len(sizes) < 2:
        return
    name = max(sizes, key=lambda layer: sizes[layer])
    left = int(chip.limits.hidden_neurons.value) - sum(sizes.values()) + sizes[name]
    most = left * graph.shape(name)[0] // sizes[name]
    yield from fewer_features(graph, {name: most}, "fewer_neurons_of_largest")


def fewer_targets(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove neurons in proportion until the connections that are left fit, unpruned."""
    sizes = {name: graph.shape(name)[0] for name in _hidden(graph)}
    total = sum(sizes.values())

    def fits(number: int) -> bool:
        smaller = next(iter(fewer_features(graph, shares(sizes, number), "")), None)
        return smaller is not None and _fits_fan_out(smaller.graph, chip)

    most = largest(total, fits)
    if most:
        yield from fewer_features(graph, shares(sizes, most), "fewer_neurons")
    del finding


def _fits_fan_out(graph: Graph, chip: XyloChip) -> bool:
    layers, totals = read_layers(graph), dict[str, Array]()
    for p in _between_hidden(layers):
        targets = (strengths(graph, p.name) > 0).sum(axis=0)
        totals[p.pre] = totals.get(p.pre, 0) + targets
    limits = chip.limits
    each = all(int(number.max()) <= limits.fan_out.value for number in totals.values())
    return each and sum(int(n.sum()) for n in totals.values()) <= limits.fan_out_memory.value


def _hidden(graph: Graph) -> list[str]:
    return [name for name in graph.of(Membrane) if name not in graph.outputs]


# ---- inputs ----


def fewer_channels(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Keep the strongest input channels; the input has to be given without the others."""
    del finding
    most = int(chip.limits.input_channels.value)
    shape = graph.shape(graph.input)
    if len(shape) != 1:
        return
    chosen = strongest(feature_strengths(graph, graph.input), most)
    smaller = keep_features(graph, graph.input, chosen)
    if smaller is not None:
        yield GraphEdit(
            name="fewer_input_channels",
            words=f"input {count(shape[0])} -> {count(most)} channels",
            graph=smaller,
            channels=tuple(chosen.tolist()),
        )


# ---- neurons that the chip lacks ----


def one_synapse(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Merge the synapses of a layer into one that delivers the same charge.

    Its time constant is the mean of theirs, each weighted by the charge that it delivers.
    """
    del chip
    node, name = graph[finding.where], finding.where
    if not isinstance(node, Membrane) or node.synapses < 2 or node.alpha_syn is None:
        return
    names = weights_of(graph, name) or ()
    weights = {w: each for w, each in graph.of(Linear).items() if w in names}
    if len(weights) < max(1, len(names)):
        return
    alpha = np.broadcast_to(node.alpha_syn, (*node.shape, node.synapses))
    alpha = np.clip(alpha.reshape(-1, node.synapses), 1e-6, 1 - 1e-6)
    # sum over time of a current after one input of 1
    charge = alpha / (1 - alpha)
    parts = {w: each.weight.reshape(*alpha.shape, -1) for w, each in weights.items()}
    sizes = sum(np.abs(part).sum(axis=2) for part in parts.values()) * charge + 1e-12
    time = (sizes / -np.log(alpha)).sum(axis=1) / sizes.sum(axis=1)
    merged = np.exp(-1 / time)
    factor = charge * ((1 - merged) / merged)[:, None]
    changes: dict[str, Node] = {}
    for weight, each in weights.items():
        bias = None if each.bias is None else (each.bias.reshape(alpha.shape) * factor).sum(axis=1)
        rows = (parts[weight] * factor[..., None]).sum(axis=1)
        changes[weight] = replace(each, weight=rows, bias=bias)
    changes[name] = replace(node, alpha_syn=merged.reshape(*node.shape, 1))
    yield GraphEdit(
        name="one_synapse",
        words=f"the {node.synapses} synapses of {name!r} as one that delivers the same charge",
        graph=graph.replace(changes),
    )


def no_bias(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove the biases of a layer."""
    del chip
    node = graph[finding.where]
    if isinstance(node, Membrane):
        changed = graph.replace({finding.where: replace(node, bias=np.zeros(()))})
        words = f"no bias of the neurons of {finding.where!r}"
        yield GraphEdit(name="no_bias", words=words, graph=changed)


edits = edits_by_rule(
    {
        "size_of_maps": (fewer_of_all, fewer_of_largest),
        "hidden_neurons": (fewer_of_all, fewer_of_largest),
        "input_channels": (fewer_channels,),
        "input_expansion": (within_windows, fewer_in_window),
        "output_expansion": (within_windows, fewer_in_window),
        "fan_out": (prune_fan_out, fewer_targets),
        "fan_out_memory": (prune_memory, fewer_targets),
        "synapse": (one_synapse,),
        "synapses": (one_synapse,),
        "neuron_bias": (no_bias,),
        "biases": (no_bias,),
    }
)
"""Yields the edits of a graph against a finding."""

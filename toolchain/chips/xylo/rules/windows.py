"""Edits for chips on which the input reaches only the first hidden ids, and outputs read the last.

Neurons of a layer are renumbered first, which is exact: those that the input drives most go to the
front, those that are read most to the back. Weights that are then still out of reach are removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.graph_edits import GraphEdit, fewer_features, rows_of, shares
from toolchain.chips.xylo.lower.layers import DenseLayers, read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.chips.xylo.program import Population
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph
from toolchain.passes.prune import number_of_weights, prune_weights, strengths
from toolchain.passes.prune_neurons import keep_features
from toolchain.report import count

__all__ = ["fewer_in_window", "within_windows"]


def within_windows(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Renumber neurons for both windows, and remove the weights that are still outside."""
    del finding
    arranged = arrange(read_layers(graph), chip)
    hidden = [p for p in arranged.populations if p.role == "hidden"]
    ordered = graph
    for p in () if arranged.aliases else hidden:
        order = np.argsort(_leaning(graph, p.name), kind="stable")
        ordered = keep_features(ordered, p.name, order) or ordered
    pruned = _pruned(ordered, chip, hidden)
    gone = number_of_weights(graph) - number_of_weights(pruned)
    words = f"{count(gone)} weights outside of the windows of input and outputs removed"
    yield GraphEdit(
        name="prune_windows" if gone else "renumber",
        words=words if gone else "neurons in another order",
        graph=pruned,
    )


def _leaning(graph: Graph, name: str) -> Array:
    """Return how much more a neuron is read by outputs than driven by the input, in ranks."""
    layers = read_layers(graph)
    driven, read = _driven(graph, layers, name), _read(graph, layers, name)
    ranks = (np.argsort(np.argsort(sizes, kind="stable")) for sizes in (read, driven))
    used = (sizes > 0 for sizes in (read, driven))
    by_output, by_input = (
        rank * mask.astype(float) for rank, mask in zip(ranks, used, strict=True)
    )
    return np.asarray(by_output - by_input)


def _driven(graph: Graph, layers: DenseLayers, name: str) -> Array:
    """Return the strength with which the input drives each neuron of a layer."""
    total = np.zeros(prod(graph.shape(name)))
    for p in layers.into(name):
        if p.pre == layers.input:
            total += np.square(strengths(graph, p.name)).sum(axis=1)
    return total


def _read(graph: Graph, layers: DenseLayers, name: str) -> Array:
    """Return the strength with which outputs read each neuron of a layer."""
    total = np.zeros(prod(graph.shape(name)))
    for p in layers.out_of(name):
        if p.post in layers.outputs:
            total += np.square(strengths(graph, p.name)).sum(axis=0)
    return total


def _pruned(graph: Graph, chip: XyloChip, hidden: list[Population]) -> Graph:
    """Return the network without the weights outside of the windows."""
    layers, kept = read_layers(graph), dict[str, Array]()
    total = max(p.stop for p in hidden)
    first_read = total - int(chip.limits.output_expansion.value)
    for p in hidden:
        ids = np.arange(p.start, p.stop)
        for into in layers.into(p.name):
            if into.pre == layers.input:
                inside = ids < chip.limits.input_expansion.value
                kept[into.name] = rows_of(inside, len(into.weight) // len(ids))[:, None]
        for out in layers.out_of(p.name):
            if out.post in layers.outputs:
                kept[out.name] = (ids >= first_read)[None, :]
    return prune_weights(graph, kept)


def fewer_in_window(graph: Graph, chip: XyloChip, finding: Diagnostic) -> Iterator[GraphEdit]:
    """Remove the weakest neurons of the layers that have to be within the window."""
    layers, limits = read_layers(graph), chip.limits
    at_input = finding.rule == "input_expansion"
    reach = limits.input_expansion if at_input else limits.output_expansion
    sizes = {
        p.name: p.stop - p.start
        for p in arrange(layers, chip).populations
        if p.role == "hidden" and _needs(layers, p.name, at_input)
    }
    if len(sizes) > reach.value or sum(sizes.values()) <= reach.value:
        return
    yield from fewer_features(graph, shares(sizes, int(reach.value)), "fewer_neurons")


def _needs(layers: DenseLayers, name: str, at_input: bool) -> bool:
    """Return whether the input drives a layer, or outputs read it."""
    if at_input:
        return any(p.pre == layers.input for p in layers.into(name))
    return any(p.post in layers.outputs for p in layers.out_of(name))

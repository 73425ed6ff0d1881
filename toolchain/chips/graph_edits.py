"""Edits of a float network against a finding: what a family offers to ``toolchain.repair``.

An edit changes what the network computes, unlike a pass of the pipeline, so the network has to be
measured with it, and trained where it lost too much. Weights that it removes are exactly 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.rules.findings import C
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph
from toolchain.passes.prune_neurons import feature_strengths, keep_features, strongest
from toolchain.report import Brief, count

__all__ = [
    "EditsAgainst",
    "GraphEdit",
    "edits_by_rule",
    "fewer_features",
    "rows_of",
    "shares",
]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GraphEdit(Brief):
    """An edit of a float network that has not been tried.

    Attributes:
        name: name of the kind of edit, ``"prune_fan_out"``.
        words: description with the layer and the numbers.
        graph: the network after it.
        channels: input channels that remain, in their order; None for all.

    >>> from toolchain.ir import Graph, Input, Linear, Output
    >>> fc = Linear(weight=[[1.0, 0.0]])
    >>> graph = Graph.chain({"input": Input(shape=(2,)), "fc": fc, "output": Output()})
    >>> GraphEdit(name="prune_fan_out", words="keep 1 target of each neuron", graph=graph).channels
    """

    name: str
    words: str
    graph: Graph
    channels: tuple[int, ...] | None = None


EditsAgainst: TypeAlias = Callable[[Graph, C, Diagnostic], Iterator[GraphEdit]]
"""Yields edits of a graph against a finding, the smallest change first."""


def edits_by_rule(table: Mapping[str, Sequence[EditsAgainst[C]]]) -> EditsAgainst[C]:
    """Return a function that yields the edits of ``table`` for the rule of a finding, in order."""

    def edits(graph: Graph, chip: C, finding: Diagnostic) -> Iterator[GraphEdit]:
        for each in table.get(finding.rule, ()):
            yield from each(graph, chip, finding)

    return edits


def fewer_features(graph: Graph, kept: Mapping[str, int], name: str) -> Iterator[GraphEdit]:
    """Yield the network with fewer neurons or channels in some layers, the strongest of each.

    Nothing if a layer cannot lose any, or would be left without one.

    Args:
        graph: the network.
        kept: number of features by name of the layer.
        name: of the edit.
    """
    smaller: Graph | None = graph
    parts = []
    for layer, most in kept.items():
        size = graph.shape(layer)[0]
        if most >= size:
            continue
        if most < 1 or smaller is None:
            return
        order = strongest(feature_strengths(graph, layer), most)
        smaller = keep_features(smaller, layer, order)
        what = "channels" if len(graph.shape(layer)) > 1 else "neurons"
        parts.append(f"{layer!r} {count(size)} -> {count(most)} {what}")
    if parts and smaller is not None:
        yield GraphEdit(name=name, words=", ".join(parts), graph=smaller)


def shares(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Return parts of ``total`` in proportion to ``sizes``, each at least 1 and at most its size.

    >>> shares({"a": 30, "b": 10}, total=20), shares({"a": 2, "b": 3}, total=9)
    ({'a': 15, 'b': 5}, {'a': 2, 'b': 3})
    """
    whole = max(1, sum(sizes.values()))
    exact = {name: size * min(1.0, total / whole) for name, size in sizes.items()}
    parts = {name: max(1, int(np.floor(part))) for name, part in exact.items()}
    left = min(total, whole) - sum(parts.values())
    by_rest = sorted(exact, key=lambda name: parts[name] - exact[name])
    for name in by_rest[: max(0, left)]:
        parts[name] = min(sizes[name], parts[name] + 1)
    return parts


def rows_of(mask: Array, synapses: int) -> Array:
    """Return a mask of connections (neurons, sources) as one of a weight's rows."""
    return np.repeat(mask, max(1, synapses), axis=0)

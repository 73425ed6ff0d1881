"""The rewrites that every chip family wants; all of them are exact in real numbers."""

from __future__ import annotations

from toolchain.ir import Graph
from toolchain.passes.batch_norm import fuse_batch_norm
from toolchain.passes.canonicalize import drop_identities, fold_gain
from toolchain.passes.pooling import fold_average_pool
from toolchain.passes.regions import merge_regions
from toolchain.passes.resting import empty_at_once, rest_at_zero
from toolchain.passes.scale import fold_scale
from toolchain.passes.spike_scale import fold_spike_scale

__all__ = ["EXACT_PASSES", "exact_passes"]

EXACT_PASSES = (
    drop_identities,
    fold_spike_scale,
    fold_scale,
    fuse_batch_norm,
    fold_average_pool,
    merge_regions,
    fold_gain,
    rest_at_zero,
    empty_at_once,
)
"""In their order."""


def exact_passes(graph: Graph) -> Graph:
    """Return the graph after the rewrites of ``EXACT_PASSES``.

    >>> from toolchain.ir import Identity, Input, Output
    >>> nodes = {"input": Input(shape=(2,)), "same": Identity(was="Dropout"), "output": Output()}
    >>> graph = Graph.chain(nodes)
    >>> [*exact_passes(graph).nodes]
    ['input', 'output']
    """
    for step in EXACT_PASSES:
        graph = step(graph)
    return graph

"""A Graph as NIR, under Euler's rule with the Graph's dt.

What NIR's own fields hold is in ``plain``. What NIR has no field for lies in the metadata of the
graph (``own``), so that reading the file back gives the Graph as it was; what another tool will
not see of it is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toolchain.frontends.nir.nodes import NirFile, NirGraph
from toolchain.frontends.nir.own import metadata
from toolchain.frontends.nir.plain import plain_graph
from toolchain.frontends.nir.write import write
from toolchain.ir import (
    Conv1d,
    Conv2d,
    Graph,
    Membrane,
    Neuron,
)

__all__ = ["from_graph", "save"]

LOG = logging.getLogger("toolchain.nir")


def save(graph: Graph, path: str | Path) -> Path:
    """Write ``graph`` as a ``.nir`` file, whole or not at all, and return the path.

    Raises:
        ModelFileError: as :func:`from_graph`.
    """
    return write(path, from_graph(graph))


def from_graph(graph: Graph) -> NirFile:
    """``graph`` as NIR, with what NIR has no field for in the metadata.

    Raises:
        ModelFileError: layers without a NIR form, all of them by name.
    """
    plain = plain_graph(graph)
    hidden = list(_hidden_from_others(graph))
    if hidden:
        LOG.warning(
            "other readers of this NIR graph will not see: %s; this toolchain reads it back from "
            "the file's metadata",
            "; ".join(hidden),
        )
    nir_graph = NirGraph(nodes=plain.nodes, edges=plain.edges, metadata=metadata(graph))
    return NirFile(graph=nir_graph, version=None, where="the Graph as NIR")


def _hidden_from_others(graph: Graph) -> Iterator[str]:
    """What other readers do not see."""
    if graph.dt is not None:
        yield f"dt = {graph.dt:g} s"
    for name, conv in graph.nodes.items():
        if isinstance(conv, (Conv1d, Conv2d)) and conv.groups > 1:
            yield f"{name}: its groups (nir 1.0.8 refuses them, 1.0.4 does not)"
    for name, node in graph.of(Membrane).items():
        found = [text for text, present in _extras(node) if present]
        if found:
            yield f"{name}: {', '.join(found)}"


def _extras(node: Membrane) -> Iterator[tuple[str, bool]]:
    yield "the potential it starts at", bool(np.any(node.v_init))
    if not isinstance(node, Neuron):
        return
    amount = node.reset_amount
    yield "several spikes a step", node.max_spikes != 1
    yield "a spike at the threshold itself", node.compare == "ge"
    yield "the floor", node.v_min is not None
    yield "a reset one step late", node.reset_when != "same"
    yield "what a spike subtracts", amount is not None and bool(np.any(amount != node.v_threshold))
    yield "what a spike counts", bool(np.any(node.spike_scale != 1))
    yield "a reset by subtraction", node.reset == "subtract"


# ---- each node in NIR's terms ----

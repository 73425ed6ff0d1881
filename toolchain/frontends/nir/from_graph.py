"""Export of a Graph to NIR, under Euler's rule with the Graph's dt.

``plain`` fills NIR's own fields. Everything else goes into the metadata of the graph (``own``), so
that reading the file restores the same Graph; what other tools will ignore is logged.
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

__all__ = ["from_graph", "save", "warn_of_extras"]

LOG = logging.getLogger("toolchain.nir")


def save(graph: Graph, path: str | Path) -> Path:
    r"""Write ``graph`` as a ``.nir`` file, completely or not at all, and return the path.

    Raises:
        ModelFileError: as :func:`from_graph`.

    Example:
        >>> import numpy as np
        >>> from toolchain.frontends.nir import save
        >>> from toolchain.ir import Graph, Input, Linear, Output
        >>> nodes = {
        ...     "input": Input(shape=(3,)),
        ...     "fc": Linear(weight=np.ones((2, 3))),
        ...     "output": Output(),
        ... }
        >>> graph = Graph.chain(nodes)
        >>> path = save(graph, "net.nir")
        >>> path.name, path.read_bytes()[:4]
        ('net.nir', b'\x89HDF')
    """
    return write(path, from_graph(graph))


def from_graph(graph: Graph) -> NirFile:
    """Convert ``graph`` to NIR, with what NIR has no field for in the metadata.

    Raises:
        ModelFileError: layers that NIR cannot represent (the message lists all).

    Example:
        >>> import numpy as np
        >>> from toolchain.frontends.nir import from_graph, to_graph
        >>> from toolchain.ir import Graph, Input, Linear, Output
        >>> nodes = {
        ...     "input": Input(shape=(3,)),
        ...     "fc": Linear(weight=np.ones((2, 3))),
        ...     "output": Output(),
        ... }
        >>> graph = Graph.chain(nodes)
        >>> file = from_graph(graph)
        >>> {name: node.type for name, node in file.graph.nodes.items()}
        {'input': 'Input', 'fc': 'Linear', 'output': 'Output'}
        >>> str(to_graph(file)) == str(graph)
        True
    """
    plain = plain_graph(graph)
    warn_of_extras(graph)
    nir_graph = NirGraph(nodes=plain.nodes, edges=plain.edges, metadata=metadata(graph))
    return NirFile(graph=nir_graph, version=None, where="the Graph as NIR")


def warn_of_extras(graph: Graph, *, in_steps: bool = False) -> None:
    """Log what other readers of the file will ignore; ``in_steps`` as for ``plain_graph``."""
    hidden = list(_hidden_from_others(graph, in_steps))
    if hidden:
        LOG.warning(
            "NIR has no fields for: %s; other readers ignore these, this toolchain restores them "
            "from the file's metadata",
            "; ".join(hidden),
        )


def _hidden_from_others(graph: Graph, in_steps: bool) -> Iterator[str]:
    """Yield the properties that other readers ignore."""
    if graph.dt is not None:
        yield f"dt = {graph.dt:g} s"
    for name, conv in graph.nodes.items():
        if isinstance(conv, (Conv1d, Conv2d)) and conv.groups > 1:
            yield f"{name}: groups (nir 1.0.8 rejects them, 1.0.4 does not)"
    for name, node in graph.of(Membrane).items():
        extras = _beyond_sinabs(node) if in_steps else _extras(node)
        found = [text for text, present in extras if present]
        if found:
            yield f"{name}: {', '.join(found)}"


def _beyond_sinabs(node: Membrane) -> Iterator[tuple[str, bool]]:
    """Yield what the importer of sinabs, which reads this form, does not set."""
    yield "norm_input", bool(np.any(node.gain != 1))
    yield "tau_syn", node.alpha_syn is not None
    if not isinstance(node, Neuron):
        return
    yield "spike_fn", node.max_spikes is not None
    amount = node.reset_amount
    other = amount is not None and bool(np.any(amount != node.v_threshold))
    yield "reset_fn", node.reset != "subtract" or other
    leaky = not np.all(node.alpha_mem == 1)
    floor = None if node.v_min is None else np.broadcast_to(node.v_min, node.shape)
    usual = (
        floor is None if leaky else floor is not None and bool(np.all(floor == -node.v_threshold))
    )
    yield "min_v_mem", not usual


def _extras(node: Membrane) -> Iterator[tuple[str, bool]]:
    yield "initial membrane potential", bool(np.any(node.v_init))
    if not isinstance(node, Neuron):
        return
    amount = node.reset_amount
    yield "several spikes per step", node.max_spikes != 1
    yield "spike when v equals v_threshold", node.compare == "ge"
    yield "lower bound of v", node.v_min is not None
    yield "reset one step later", node.reset_when != "same"
    yield "reset amount", amount is not None and bool(np.any(amount != node.v_threshold))
    yield "spike scale", bool(np.any(node.spike_scale != 1))
    yield "reset by subtraction", node.reset == "subtract"

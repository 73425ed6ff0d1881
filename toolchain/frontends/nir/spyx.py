"""Differences between a file that spyx writes and the network that spyx runs.

- A recurrent layer is an inner graph whose Input leads to the recurrent weight only. spyx adds the
  input to the neuron itself, and its importer ignores these edges.
- spyx flattens feature maps as (rows, columns, channels), NIR as (channels, rows, columns). The
  weight after a Flatten is in the order of spyx.
- A neuron outputs a spike in the step after its membrane crosses the threshold. This latency is
  left out: it only moves the output in time, apart from biases that act before the input arrives.

The first exporters of snnTorch wrote the same constants for its Leaky neurons, which compute the
same without the latency.

Source: files and networks of spyx 1.0.0 as observed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import networkx as nx
import numpy as np

from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.nodes import NirEdge, NirNode
from toolchain.report import plural

__all__ = ["as_run"]

DENSE = ("Affine", "Linear")
LATE = ("CubaLIF", "IF", "LIF")
"""Neurons whose output comes one step later."""


def as_run(
    nodes: Mapping[str, NirNode], edges: Collection[NirEdge], where: str
) -> tuple[dict[str, NirNode], tuple[NirEdge, ...], list[str]]:
    """Return nodes and edges of the network that spyx runs, and what differs from the file.

    Args:
        nodes: nodes of the flattened graph.
        edges: edges of the flattened graph.
        where: the file, for messages.

    Raises:
        ModelFileError: a Flatten of feature maps leads to something else than a weight.
    """
    rewired = dict(_rewired(edges, _recurrent_weights(nodes, edges)))
    reordered, faults = _reordered(nodes, edges)
    if faults:
        raise file_error(where, faults)
    notes = [
        f"{pre} -> {post} is read as {pre} -> {new[1]}, as spyx runs recurrent layers"
        for (pre, post), new in rewired.items()
    ]
    notes += [
        f"the weights of {name} are reordered from (rows, columns, channels)" for name in reordered
    ]
    notes += _latency({**nodes, **reordered}, edges)
    changed = tuple(rewired.get(edge, edge) for edge in edges)
    return {**nodes, **reordered}, changed, notes


def _recurrent_weights(nodes: Mapping[str, NirNode], edges: Collection[NirEdge]) -> dict[str, str]:
    """Return the neuron of each weight that only feeds, and is fed by, that neuron."""
    found = {}
    for name, node in nodes.items():
        after = [post for pre, post in edges if pre == name]
        if node.type in DENSE and len(after) == 1 and (after[0], name) in edges:
            found[name] = after[0]
    return found


def _rewired(
    edges: Collection[NirEdge], weights: Mapping[str, str]
) -> Iterator[tuple[NirEdge, NirEdge]]:
    """Yield edges into recurrent weights from outside, and the edges in their place."""
    for pre, post in edges:
        neuron = weights.get(post)
        if neuron is not None and pre != neuron and (pre, neuron) not in edges:
            yield (pre, post), (pre, neuron)


def _reordered(
    nodes: Mapping[str, NirNode], edges: Collection[NirEdge]
) -> tuple[dict[str, NirNode], list[NirFault]]:
    """Return the weights after each Flatten of feature maps, with columns in NIR's order."""
    found: dict[str, NirNode] = {}
    faults: list[NirFault] = []
    for name, node in nodes.items():
        shape = np.ravel(np.asarray(node.fields.get("input_type", ())))
        if node.type != "Flatten" or shape.size != 3:
            continue
        for post in (post for pre, post in edges if pre == name):
            after = nodes[post]
            weight = np.asarray(after.fields.get("weight", ()))
            if after.type not in DENSE or weight.shape[-1] != shape.prod():
                faults.append(
                    (
                        name,
                        f"is followed by {post!r} ({after.type}); spyx flattens in another order "
                        "than NIR, which only a weight of that many inputs can take up",
                    )
                )
                continue
            channels, rows, columns = (int(size) for size in shape)
            order = np.arange(shape.prod()).reshape(rows, columns, channels).transpose(2, 0, 1)
            fields = {**after.fields, "weight": weight[:, order.reshape(-1)]}
            found[post] = replace(after, fields=fields)
    return found, faults


def _latency(nodes: Mapping[str, NirNode], edges: Collection[NirEdge]) -> Iterator[str]:
    """Yield what leaving out the latency of the neurons changes."""
    net: nx.DiGraph[str] = nx.DiGraph(edges)
    late = [name for name, node in nodes.items() if node.type in LATE]
    if not late:
        return
    parts = nx.condensation(net)
    steps = dict.fromkeys(parts, 0)
    for part in nx.topological_sort(parts):
        before = max((steps[other] for other in parts.predecessors(part)), default=0)
        steps[part] = before + sum(name in late for name in parts.nodes[part]["members"])
    together = plural(max(steps.values()), "step")
    yield f"spyx outputs the spikes of each layer one step later, together {together}"
    after = set().union(*(nx.descendants(net, name) for name in late))
    biased = [name for name in nodes if name in after and _has_bias(nodes[name])]
    if biased:
        names = ", ".join(biased)
        yield f"spyx applies the biases of {names} in the steps before the input arrives there too"


def _has_bias(node: NirNode) -> bool:
    return "bias" in node.fields and bool(np.any(np.asarray(node.fields["bias"])))

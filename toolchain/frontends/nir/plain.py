"""Conversion of a Graph to plain NIR nodes and edges, without our metadata.

NIR's fields contain what other tools can read: time constants ``dt / (1 - alpha)`` and gains that
Euler's rule turns back into the Graph's constants. A sum that feeds one node becomes edges that
meet at that node; other sums and ``Identity`` layers become a ``Scale`` of ones. An edge with a
delay of one step that closes a loop is recurrence in NIR; other delays become ``Delay`` nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.nodes import NirGraph, NirNode, NodeValue
from toolchain.frontends.nir.timesteps import in_timesteps, membrane_kind
from toolchain.ir import (
    Add,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Membrane,
    Neuron,
    Node,
    Output,
    Scale,
    SumPool2d,
)

__all__ = ["NOMINAL_DT", "plain_graph"]

NOMINAL_DT = 1.0
"""Length of a timestep, s, if the Graph has none: time constants then count steps."""


def plain_graph(graph: Graph, *, in_steps: bool = False) -> NirGraph:
    """Convert a Graph to the nodes and edges that any reader understands.

    Args:
        graph: the network.
        in_steps: write time constants as sinabs does, in timesteps, with gains of 1.

    Raises:
        ModelFileError: layers that NIR cannot represent (the message lists all).
    """
    faults = list(_faults(graph))
    if faults:
        raise file_error("the Graph cannot be written as NIR", faults)
    dt = NOMINAL_DT if graph.dt is None else graph.dt
    sums = {name for name in graph.of(Add) if _is_implicit_sum(graph, name)}
    nodes: dict[str, NirNode | NirGraph] = {}
    for name, node in graph.nodes.items():
        if name not in sums:
            shape = graph.shape(name) if isinstance(node, Input) else graph.input_shape_of(name)
            if in_steps and isinstance(node, Membrane) and not _is_threshold(node):
                nodes[name] = in_timesteps(node)
            else:
                nodes[name] = _node(node, shape, dt)
    edges: list[tuple[str, str]] = []
    for edge in graph.edges:
        if edge.pre in sums:
            continue
        post = graph.post(edge.post)[0].post if edge.post in sums else edge.post
        if edge.delay and not _is_recurrence(graph, edge):
            between = f"{edge.pre}.delay.{edge.post}"
            delay = np.broadcast_to(edge.delay * dt, graph.shape(edge.pre))
            nodes[between] = NirNode(type="Delay", fields={"delay": delay})
            edges += [(edge.pre, between), (between, post)]
        else:
            edges.append((edge.pre, post))
    return NirGraph(nodes=nodes, edges=tuple(edges))


def _is_implicit_sum(graph: Graph, name: str) -> bool:
    """Return True if a sum feeds exactly one node, without delay, that is not a sum."""
    after = graph.after(name)
    return after is not None and not isinstance(graph[after], Add)


def _is_recurrence(graph: Graph, edge: Edge) -> bool:
    """Return True if an edge has a delay of one step and closes a loop."""
    seen, queue = {edge.post}, [edge.post]
    while queue:
        for later in graph.post(queue.pop()):
            if later.post not in seen:
                seen.add(later.post)
                queue.append(later.post)
    return edge.delay == 1 and edge.pre in seen


# ---- unsupported layers ----


def _faults(graph: Graph) -> Iterator[NirFault]:
    for name, node in graph.nodes.items():
        if isinstance(node, Membrane):
            yield from ((name, text) for text in _membrane_faults(node))
        elif not isinstance(node, (Add, Output)) and type(node) not in FORMS:
            yield name, f"NIR has no {type(node).__name__}"
    for edge in graph.edges:
        between = f"{edge.pre}.delay.{edge.post}"
        if edge.delay and between in graph:
            yield between, f"name is reserved for the Delay between {edge.pre!r} and {edge.post!r}"


def _membrane_faults(node: Membrane) -> Iterator[str]:
    whole = node.alpha_mem == 1
    if _is_threshold(node):
        return
    if node.synapses > 1:
        yield f"{node.synapses} synapses per neuron; NIR has one"
    if np.any(whole) and (not np.all(whole) or node.synapses):
        yield "membrane without leak; NIR has it only for whole layers without a synapse"
    if node.alpha_syn is not None and np.any(node.alpha_syn == 1):
        yield "synaptic current without decay: its time constant is infinite"
    if np.any(whole) and np.any(node.bias):
        yield "bias on a membrane without leak; move it to the weights before the layer"
    if isinstance(node, Neuron):
        yield from _reset_faults(node)


def _reset_faults(node: Neuron) -> Iterator[str]:
    if node.reset == "none":
        yield "no reset after a spike"
    if node.reset == "additive" and np.any(node.v_reset):
        yield "additive reset with v_reset other than 0"


def _is_threshold(node: Membrane) -> bool:
    """Return True if a layer has no memory and only compares."""
    memory = np.any(node.alpha_mem) or node.synapses or np.any(node.v_leak) or np.any(node.bias)
    spikes = isinstance(node, Neuron) and node.reset == "none" and node.max_spikes == 1
    return spikes and not memory and bool(np.all(node.gain == 1))


def _node(node: Node, shape: Shape, dt: float) -> NirNode:
    """Convert a node whose input has ``shape``."""
    if isinstance(node, Membrane):
        return _membrane(node, dt)
    if isinstance(node, Output):
        return NirNode(type="Output", fields={"shape": np.array(shape, dtype=np.int64)})
    if isinstance(node, (Add, Identity)):
        return NirNode(type="Scale", fields={"scale": np.broadcast_to(1.0, shape)})
    kind, fields = FORMS[type(node)](node, shape)
    return NirNode(type=kind, fields=fields)


Form = tuple[str, dict[str, NodeValue]]


def _input(node: Any, shape: Shape) -> Form:
    return "Input", {"shape": np.array(shape, dtype=np.int64)}


def _linear(node: Any, shape: Shape) -> Form:
    if node.bias is None:
        return "Linear", {"weight": node.weight}
    return "Affine", {"weight": node.weight, "bias": node.bias}


def _scale(node: Any, shape: Shape) -> Form:
    return "Scale", {"scale": np.broadcast_to(node.scale, shape)}


def _flatten(node: Any, shape: Shape) -> Form:
    sizes = np.array(shape, dtype=np.int64)
    return "Flatten", {"input_type": sizes, "start_dim": np.array(0), "end_dim": np.array(-1)}


def _conv(node: Any, shape: Shape) -> Form:
    outputs = len(node.weight)
    bias = np.zeros(outputs, node.weight.dtype) if node.bias is None else node.bias
    sizes = {name: np.array(getattr(node, name)) for name in ("stride", "padding", "dilation")}
    map_size = shape[1] if len(shape) == 2 else shape[1:]
    fields = {"input_shape": np.array(map_size), "weight": node.weight, "bias": bias}
    return type(node).__name__, {**fields, **sizes, "groups": np.array(node.groups)}


def _pool(node: Any, shape: Shape) -> Form:
    sizes = {"kernel_size": np.array(node.kernel), "stride": np.array(node.stride)}
    return type(node).__name__, {**sizes, "padding": np.zeros(2, dtype=np.int64)}


FORMS: Mapping[type[Node], Callable[[Any, Shape], Form]] = {
    AvgPool2d: _pool,
    Conv1d: _conv,
    Conv2d: _conv,
    Flatten: _flatten,
    Identity: _input,  # written as a Scale, see _node
    Input: _input,
    Linear: _linear,
    Scale: _scale,
    SumPool2d: _pool,
}


def _membrane(node: Membrane, dt: float) -> NirNode:
    def broadcast(value: Array) -> Array:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), node.shape)

    if isinstance(node, Neuron) and _is_threshold(node):
        return NirNode(type="Threshold", fields={"threshold": broadcast(node.v_threshold)})
    fields: dict[str, Array] = {}
    leaky = not np.all(node.alpha_mem == 1)
    if leaky:
        name = "tau" if node.alpha_syn is None else "tau_mem"
        fields[name] = dt / (1 - node.alpha_mem)
        fields["r"] = node.gain / (1 - node.alpha_mem)
        fields["v_leak"] = node.v_leak + node.bias / (1 - node.alpha_mem)
    else:
        fields["r"] = node.gain / dt
    if node.alpha_syn is not None:
        alpha = node.alpha_syn[..., 0]
        before = alpha if node.syn_order == "add_decay" else np.ones(())
        fields["tau_syn"], fields["w_in"] = dt / (1 - alpha), before / (1 - alpha)
    if isinstance(node, Neuron):
        fields["v_threshold"] = node.v_threshold
        if node.reset != "subtract":
            fields["v_reset"] = node.v_reset
    kind = membrane_kind(node)
    return NirNode(type=kind, fields={name: broadcast(value) for name, value in fields.items()})

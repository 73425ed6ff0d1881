"""Torch layers for the nodes of a Graph that was read from NIR."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from toolchain import nn as layers
from toolchain.arrays import Array
from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.nodes import NirFile, NirNode
from toolchain.ir import (
    Add,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Flatten,
    Graph,
    Identity,
    Linear,
    Membrane,
    MembraneReadout,
    Neuron,
    Node,
    Output,
    SumPool2d,
    decay,
    time_constant,
)

__all__ = ["network"]

SETTINGS = ("spike_threshold", "spike_fn", "reset_fn", "min_v_mem")
"""Settings that spiking layers with and without recurrence share."""

Split = Mapping[str, Any]
"""How rows ``(batch * time)`` are split: ``batch_size`` and ``num_timesteps``."""


def network(
    file: NirFile, graph: Graph, batch_size: int | None, num_timesteps: int | None
) -> nn.Module:
    """Return the module of ``graph``: a Sequential of a chain, else a ``Wired``.

    Raises:
        ModelFileError: nodes without a layer that computes the same (the message lists all).
        ValueError: neither ``batch_size`` nor ``num_timesteps`` is given, but a layer has a state.
    """
    split = {"batch_size": batch_size, "num_timesteps": num_timesteps}
    if graph.of(Membrane) and batch_size is None and num_timesteps is None:
        raise ValueError("from_nir needs batch_size or num_timesteps, which split the rows")
    loops = {name: weight for name in graph.of(Neuron) for weight in _loop_of(graph, name)}
    back = {*loops.values()}
    found: dict[str, nn.Module] = {}
    faults: list[NirFault] = [
        (edge.post, f"takes {edge.pre!r} one timestep or more later, which no layer does")
        for edge in graph.edges
        if edge.delay and not {edge.pre, edge.post} & back
    ]
    for name, node in graph.nodes.items():
        if name == graph.input or name in back or isinstance(node, Add | Output):
            continue
        try:
            layer = _layer(node, _written(file, name), split)
            found[name] = _with_loop(layer, graph[loops[name]], split) if name in loops else layer
        except ValueError as fault:
            faults.append((name, str(fault)))
    if faults:
        raise file_error(file.where, faults)
    return _connected(graph, found, back)


# ---- recurrent layers ----


def _loop_of(graph: Graph, name: str) -> list[str]:
    """Return the weight that only returns the neuron's spikes to it, one step later, if any."""
    (edge,) = graph.pre(name)
    if not isinstance(graph[edge.pre], Add) or graph.after(edge.pre) != name:
        return []
    return [
        into.pre
        for into in graph.pre(edge.pre)
        if isinstance(graph[into.pre], Linear)
        and len(graph.post(into.pre)) == 1
        and graph.before(into.pre) == name
        and graph.pre(into.pre)[0].delay + into.delay == 1
    ][:1]


def _with_loop(layer: nn.Module, weight: Any, split: Split) -> nn.Module:
    """Return the recurrent layer with the settings of ``layer``, on rows.

    Raises:
        ValueError: the weight has a bias, or ``batch_size`` is not given.
    """
    if weight.bias is not None:
        raise ValueError("the recurrent weight has a bias, which acts in other steps than in NIR")
    if split["batch_size"] is None:
        raise ValueError("a recurrent layer needs batch_size, which splits its rows")
    settings = {key: getattr(layer, key) for key in SETTINGS}
    rest: dict[str, Any] = {**settings, "rec_connect": _linear(weight), "tau_syn": layer.tau_syn}
    if isinstance(layer, layers.LIF):
        leak: dict[str, Any] = {"tau_mem": layer.tau_mem, "norm_input": layer.norm_input}
        recurrent: nn.Module = layers.LIFRecurrent(**rest, **leak)
    else:
        recurrent = layers.IAFRecurrent(**rest)
    rows = layers.UnflattenTime(split["batch_size"])
    return nn.Sequential(rows, recurrent, layers.FlattenTime())


def _written(file: NirFile, name: str) -> NirNode | None:
    node = file.graph.nodes.get(name)
    return node if isinstance(node, NirNode) else None


# ---- connections ----


def _connected(graph: Graph, found: Mapping[str, nn.Module], back: set[str]) -> nn.Module:
    """Return the network; ``back`` are the weights inside of recurrent layers."""
    names = _module_names(found)
    sources = {name: [p for p in _sources(graph, name) if p not in back] for name in found}
    order = [graph.input, *found]
    outputs = [_sources(graph, output) for output in graph.output_nodes]
    chain = all([pre] == sources[name] for pre, name in zip(order, found, strict=False))
    if chain and outputs == [[order[-1]]]:
        return nn.Sequential(OrderedDict((names[name], layer) for name, layer in found.items()))
    renamed = {graph.input: "input", **names}
    modules = {names[name]: layer for name, layer in found.items()}
    taken = {names[name]: [renamed[pre] for pre in pres] for name, pres in sources.items()}
    ends = []
    for number, pres in enumerate(outputs):
        if len(pres) == 1 and pres[0] != graph.input:
            ends.append(renamed[pres[0]])
            continue
        end = _unused(f"output{number}", modules)
        modules[end], taken[end] = nn.Identity(), [renamed[pre] for pre in pres]
        ends.append(end)
    return layers.Wired(modules, taken, ends)


def _sources(graph: Graph, name: str) -> list[str]:
    """Return the nodes whose outputs ``name`` takes, across sums."""
    found = []
    for edge in graph.pre(name):
        found += _sources(graph, edge.pre) if isinstance(graph[edge.pre], Add) else [edge.pre]
    return found


def _module_names(found: Mapping[str, nn.Module]) -> dict[str, str]:
    """Return names that torch allows, without dots."""
    names: dict[str, str] = {}
    for name in found:
        taken = {*names.values(), *(set(found) - {name}), "input"}
        names[name] = _unused(name.replace(".", "_"), taken)
    return names


def _unused(name: str, taken: Any) -> str:
    while name in taken:
        name += "_"
    return name


# ---- layers ----


def _layer(node: Node, written: NirNode | None, split: Split) -> nn.Module:
    """Return the layer of a node.

    Raises:
        ValueError: no layer computes the same.
    """
    if isinstance(node, Neuron | MembraneReadout):
        return _membrane(node, written, split)
    build = LAYERS.get(type(node))
    if build is None:
        raise ValueError(f"{type(node).__name__} has no layer")
    return build(node)


def _loaded(layer: nn.Module, node: Any) -> nn.Module:
    """Return the layer with the weights of the node."""
    with torch.no_grad():
        for name in ("weight", "bias"):
            value = getattr(node, name)
            if value is not None:
                getattr(layer, name).copy_(torch.tensor(value))
    return layer


def _linear(node: Linear) -> nn.Module:
    outputs, inputs = node.weight.shape
    # a bias of zeros is that of a layer without one, see ``modules``
    node = node if node.bias is None or node.bias.any() else replace(node, bias=None)
    return _loaded(nn.Linear(inputs, outputs, bias=node.bias is not None), node)


def _conv(kind: type[nn.Conv1d | nn.Conv2d]) -> Callable[[Any], nn.Module]:
    def build(node: Any) -> nn.Module:
        outputs, inputs, *kernel = node.weight.shape
        sizes = {key: getattr(node, key) for key in ("stride", "padding", "dilation")}
        layer = kind(
            inputs * node.groups,
            outputs,
            tuple(kernel),
            groups=node.groups,
            bias=node.bias is not None,
            **sizes,
        )
        return _loaded(layer, node)

    return build


LAYERS: Mapping[type[Node], Callable[[Any], nn.Module]] = {
    AvgPool2d: lambda node: nn.AvgPool2d(node.kernel, node.stride),
    Conv1d: _conv(nn.Conv1d),
    Conv2d: _conv(nn.Conv2d),
    Flatten: lambda node: nn.Flatten(),
    Identity: lambda node: nn.Identity(),
    Linear: _linear,
    SumPool2d: lambda node: layers.SumPool2d(node.kernel, node.stride),
}


def _membrane(node: Neuron | MembraneReadout, written: NirNode | None, split: Split) -> nn.Module:
    faults = [text for text, present in _without_layer(node) if present]
    if faults:
        raise ValueError(f"no layer has {', '.join(faults)}")
    taus = _taus(node, written)
    norm = not np.all(node.gain == 1)
    if isinstance(node, MembraneReadout):
        return layers.ExpLeakSqueeze(**taus, norm_input=norm, **split)
    rest = {**taus, **split, **_spiking(node)}
    if np.all(node.alpha_mem == 1):
        return layers.IAFSqueeze(**rest)
    return layers.LIFSqueeze(**rest, norm_input=norm)


def _without_layer(node: Neuron | MembraneReadout) -> list[tuple[str, bool]]:
    leaky = not np.all(node.alpha_mem == 1)
    own_gain = np.all(node.gain == 1) or (leaky and np.all(node.gain == 1 - node.alpha_mem))
    found = [
        ("a gain other than 1 and 1 - alpha_mem", not own_gain),
        ("leak for some neurons only", leaky and bool(np.any(node.alpha_mem == 1))),
        ("a membrane without leak and without spikes", not leaky and not isinstance(node, Neuron)),
        ("a membrane without memory", not np.all(node.alpha_mem)),
        ("several synapses per neuron", node.synapses > 1),
        ("v_leak other than 0", bool(np.any(node.v_leak))),
        ("a bias", bool(np.any(node.bias))),
        ("an initial membrane potential", bool(np.any(node.v_init))),
        (
            "a synapse that decays before it adds its input",
            node.alpha_syn is not None and node.syn_order != "add_decay",
        ),
    ]
    if not isinstance(node, Neuron):
        return [*found, ("a scaled membrane", bool(np.any(node.v_scale != 1)))]
    amount = node.reset_amount
    return [
        *found,
        ("spikes above v_threshold only", node.compare != "ge"),
        (f"reset {node.reset!r}", node.reset not in ("subtract", "value", "additive")),
        ("a reset to a value other than 0", node.reset == "value" and bool(np.any(node.v_reset))),
        ("a reset in the next timestep", node.reset_when != "same"),
        (
            "reset amounts that differ",
            amount is not None and bool(np.any(amount != amount.flat[0])),
        ),
        ("scaled spikes", bool(np.any(node.spike_scale != 1))),
    ]


def _taus(node: Membrane, written: NirNode | None) -> dict[str, Any]:
    """Return the time constants, timesteps: those of the file, else those of the decays."""
    fields = {} if written is None else written.fields
    found: dict[str, Any] = {}
    if not np.all(node.alpha_mem == 1):
        stored = fields.get("tau", fields.get("tau_mem"))
        found["tau_mem"] = _tau(node.alpha_mem, stored)
    if node.alpha_syn is not None:
        found["tau_syn"] = _tau(node.alpha_syn[..., 0], fields.get("tau_syn"))
    return found


def _tau(alpha: Array, stored: Any) -> Tensor:
    if stored is not None and np.allclose(decay(stored, dt=1), alpha, rtol=0, atol=1e-6):
        return _value(np.asarray(stored))
    return _value(time_constant(alpha, dt=1))


def _value(array: Array) -> Tensor:
    """Return one number if all are equal, else all."""
    flat = array.reshape(-1)
    same = bool(np.all(flat == flat[0]))
    return torch.tensor(flat[0] if same else np.ascontiguousarray(array), dtype=torch.float32)


def _spiking(node: Neuron) -> dict[str, Any]:
    cap = node.max_spikes
    spike_fn: Any = layers.MultiSpike
    if cap is not None:
        spike_fn = layers.SingleSpike if cap == 1 else layers.MaxSpike(cap)
    amount = node.reset_amount
    if node.reset == "subtract":
        reset_fn: Any = layers.MembraneSubtract(None if amount is None else float(amount.flat[0]))
    else:
        reset_fn = layers.MembraneReset(float(node.v_reset.flat[0]))
    floor = None if node.v_min is None else _value(node.v_min)
    return {
        "spike_threshold": _value(node.v_threshold),
        "spike_fn": spike_fn,
        "reset_fn": reset_fn,
        "min_v_mem": floor,
    }

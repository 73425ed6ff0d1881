"""Neurons that can fire at all, from weights and thresholds alone.

Every input channel is taken to spike as often as ``Bounds.spikes`` in every step, negative weights
are left out, and states never saturate: a neuron that stays below its threshold even then cannot
fire. The reverse does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import BatchNorm, Conv1d, Conv2d, Graph, Linear, Membrane, Neuron, Node, Scale
from toolchain.runs.evaluate import evaluate

__all__ = ["Bounds", "can_fire", "silenced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Largest drive that is assumed.

    Attributes:
        spikes: spikes of an input channel, and of a neuron without a limit, in one timestep.
        steps: timesteps.

    >>> Bounds(spikes=15, steps=1000).steps
    1000
    """

    spikes: int
    steps: int


TRAINED = Bounds(spikes=15, steps=1000)
"""For the trained network: what a user would call able to fire."""
CHIP = Bounds(spikes=1024, steps=2**15)
"""For the integers: wide, so that only neurons that never fire are named."""


def can_fire(graph: Graph, bounds: Bounds) -> dict[str, Array]:
    """Return for each neuron layer which of its neurons can fire, bool of the layer's shape.

    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(1,)), "fc": Linear(weight=[[0.5], [0.0]])}
    >>> nodes |= {"lif": Neuron(shape=(2,), v_threshold=1.0), "output": Output()}
    >>> can_fire(Graph.chain(nodes), Bounds(spikes=1, steps=10))["lif"].tolist()
    [True, False]
    """
    found: dict[str, Array] = {}
    values: dict[str, Array] = {n: np.zeros((1, 1, *graph.shape(n))) for n in graph.nodes}
    while True:
        before = found.copy()
        for name, node in graph.nodes.items():
            inputs = [values[edge.pre] for edge in graph.pre(name)]
            if not inputs:
                values[name] = np.full((1, 1, *graph.shape(name)), float(bounds.spikes))
            elif isinstance(node, Membrane):
                values[name], found[name] = _fired(node, inputs[0], bounds)
            else:
                values[name] = evaluate(_excitatory(node), inputs)
        # delayed edges carry what the round before found; rounds only ever add neurons
        same = (n in before and np.array_equal(before[n], found[n]) for n in found)
        if not graph.recurrent or all(same):
            return {name: found[name] for name in graph.of(Neuron)}


def _excitatory(node: Node) -> Node:
    """Return the node without what lowers a sum."""
    if isinstance(node, Linear | Conv1d | Conv2d):
        bias = None if node.bias is None else np.maximum(node.bias, 0)
        return replace(node, weight=np.maximum(node.weight, 0), bias=bias)
    if isinstance(node, Scale):
        return replace(node, scale=np.maximum(node.scale, 0))
    if isinstance(node, BatchNorm):
        return replace(node, gamma=np.abs(node.gamma), beta=np.abs(node.beta), mean=0 * node.mean)
    return node


def _fired(node: Membrane, arriving: Array, bounds: Bounds) -> tuple[Array, Array]:
    """Return the most spikes in a step, (1, 1, *shape), and which neurons can fire."""
    current = arriving[0, 0]
    if node.alpha_syn is not None:
        each = current.reshape(*node.shape, node.synapses)
        current = (each * _kept(node.alpha_syn, bounds)).sum(axis=-1)
    drive = np.abs(node.gain) * current.reshape(node.shape) + np.maximum(node.bias, 0)
    rest = np.maximum(node.v_leak, 0) + np.maximum(node.v_init, 0)
    v = np.broadcast_to(rest + drive * _kept(node.alpha_mem, bounds), node.shape)
    if not isinstance(node, Neuron):
        return v[None, None], v > 0
    fires = v >= node.v_threshold
    most = bounds.spikes if node.max_spikes is None else node.max_spikes
    return (fires * most * np.abs(node.spike_scale))[None, None], fires


def _kept(alpha: Array, bounds: Bounds) -> Array:
    """Return the factor by which a state exceeds a constant drive after many steps, at most."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.minimum(1 / (1 - alpha), bounds.steps))


def silenced(before: Graph, after: Graph) -> tuple[Diagnostic, ...]:
    """Report output layers and output neurons that no input can make fire.

    Args:
        before: the float graph, input of the quantizer.
        after: the same in integers.

    >>> from toolchain.ir import Input, Output
    >>> def network(weight):
    ...     nodes = {"input": Input(shape=(1,)), "fc": Linear(weight=[[weight]])}
    ...     nodes |= {"lif": Neuron(shape=(1,), v_threshold=1.0), "output": Output()}
    ...     return Graph.chain(nodes)
    >>> print(silenced(network(0.5), network(0.0))[0].message)
    cannot fire on the chip: no path of positive weights from the input reaches its threshold
    """
    outputs = [n for n in dict.fromkeys(after.outputs) if isinstance(after[n], Neuron)]
    if not outputs:
        return ()
    chip = can_fire(after, CHIP)
    if all(chip[name].all() for name in outputs):
        return ()
    return tuple(_of_outputs(outputs, can_fire(before, TRAINED), chip))


def _of_outputs(
    outputs: list[str], trained: Mapping[str, Array], chip: Mapping[str, Array]
) -> Iterator[Diagnostic]:
    for name in outputs:
        able, on_chip = trained[name], chip[name]
        lost = int((able & ~on_chip).sum())
        if not able.any() and not on_chip.any():
            severity = Severity.WARNING
            message = (
                f"cannot fire, nor can it as trained: {NO_PATH} within {TRAINED.steps} timesteps"
            )
        elif lost and not on_chip.any():
            severity, message = Severity.ERROR, f"cannot fire on the chip: {NO_PATH}"
        elif lost:
            severity = Severity.WARNING
            message = (
                f"{lost} of {prod(able.shape)} output neurons cannot fire on the chip, "
                f"though they can as trained: {NO_PATH}"
            )
        else:
            continue
        yield Diagnostic(rule="no_path", severity=severity, where=name, message=message)


NO_PATH = "no path of positive weights from the input reaches its threshold"

"""Removal of resting potentials and of delayed resets, where the spikes stay the same.

Chips have neither a resting potential nor a delayed reset. Equivalent parameters often exist.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph, Membrane, Neuron

__all__ = ["empty_at_once", "rest_at_zero"]


def rest_at_zero(graph: Graph) -> Graph:
    """Rewrite membranes so that their resting potential is 0.

    All potentials of a layer are shifted by the same amount if its spikes only depend on their
    differences: for neurons that spike at most once a step, reset to a value in the same step and
    start at their resting potential. Otherwise ``v = v_leak + a (v - v_leak) + ...`` becomes
    ``a v + ...`` with a bias of ``(1 - a) v_leak``.

    Ensures: the spikes are unchanged in exact arithmetic. Membranes that are reset to a value in
    the next step are not changed, since that reset would not remove the bias.

    >>> from toolchain.ir import Input, Output
    >>> neuron = Neuron(shape=(1,), alpha_mem=0.5, v_leak=0.25, v_threshold=1.0)
    >>> graph = Graph.chain({"input": Input(shape=(1,)), "lif": neuron, "output": Output()})
    >>> node = rest_at_zero(graph)["lif"]
    >>> node.v_leak.item(), node.bias.item()
    (0.0, 0.125)
    """
    return graph.map(Membrane, lambda _, node: _resting(node))


def _resting(node: Membrane) -> Membrane:
    if isinstance(node, Neuron) and _shiftable(node):
        return _shifted(node, _rest(node))
    emptied = (
        isinstance(node, Neuron) and node.reset == "value" and node.reset_when == "next_undecayed"
    )
    if emptied or not np.any(node.v_leak):
        return node
    bias = node.bias + (1 - node.alpha_mem) * node.v_leak
    return replace(node, bias=bias, v_leak=np.zeros(()))


def _rest(node: Neuron) -> Array:
    """Return the resting potential of a membrane; without a leak any will do: its reset value."""
    return node.v_reset if np.all(node.alpha_mem == 1) else node.v_leak


def _shiftable(node: Neuron) -> bool:
    rest = _rest(node)
    once = node.max_spikes == 1 and node.reset == "value" and node.reset_when == "same"
    same_start = bool(np.all(node.v_init == rest))
    return once and same_start and bool(np.any(rest)) and bool(np.all(node.v_threshold > rest))


def _shifted(node: Neuron, by: Array) -> Neuron:
    changes: dict[str, Any] = {
        field: getattr(node, field) - by for field in ("v_threshold", "v_init", "v_reset")
    }
    if node.v_min is not None:
        changes["v_min"] = node.v_min - by
    return replace(node, v_leak=np.zeros(()), **changes)


def empty_at_once(graph: Graph) -> Graph:
    """Reset membranes in the step of the spike that are set to 0 in the next step.

    ``a (1 - fired) v + x`` is ``a v' + x`` with v' the membrane after the earlier reset.

    Requires: at most one spike per step, a reset value and a resting potential of 0; other layers
    are not changed.
    Ensures: the spikes are unchanged, exactly; a recorded membrane is 0 in the step of a spike.

    >>> from toolchain.ir import Input, Output
    >>> late = dict(reset="value", reset_when="next_undecayed", max_spikes=1)
    >>> neuron = Neuron(shape=(1,), v_threshold=1.0, **late)
    >>> graph = Graph.chain({"input": Input(shape=(1,)), "lif": neuron, "output": Output()})
    >>> empty_at_once(graph)["lif"].reset_when
    'same'
    """
    return graph.map(Neuron, lambda _, node: _emptied(node))


def _emptied(node: Neuron) -> Neuron:
    late = node.reset == "value" and node.reset_when == "next_undecayed"
    at_zero = not (np.any(node.v_reset) or np.any(node.v_leak))
    floor = node.v_min is None or not np.any(node.v_min > 0)
    once = node.max_spikes == 1 and at_zero and floor
    return replace(node, reset_when="same") if late and once else node

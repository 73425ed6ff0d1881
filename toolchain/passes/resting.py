"""Membranes that rest at 0, and resets that are done when a neuron fires: where that is the same.

Chips have neither a resting potential nor a reset that waits. Both can often be written otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph, Membrane, Neuron

__all__ = ["empty_at_once", "rest_at_zero"]


def rest_at_zero(graph: Graph) -> Graph:
    """Membranes whose resting potential is 0.

    All potentials of a layer are shifted by one where its spikes only depend on differences of
    them: neurons that spike once a step at most and restart at a value, in the same step, and that
    start where they rest. Elsewhere ``v = v_leak + a (v - v_leak) + ...`` is ``a v + ...`` with a
    bias of ``(1 - a) v_leak``.

    Ensures: the spikes are unchanged in exact arithmetic. Left as they are: membranes that are
    emptied of what they kept in the next step, since a bias would stay.
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
    """Where a membrane rests; one without leak does so anywhere, and at its reset as well."""
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
    """Neurons that empty their membrane in the next step empty it when they fire.

    ``a (1 - fired) v + x`` is ``a v' + x`` with v' the membrane emptied before.

    Requires: one spike a step at most, and a membrane that restarts and rests at 0; other layers
    are left as they are.
    Ensures: the spikes are unchanged, exactly; a recorded membrane is 0 in the step of a spike.
    """
    return graph.map(Neuron, lambda _, node: _emptied(node))


def _emptied(node: Neuron) -> Neuron:
    late = node.reset == "value" and node.reset_when == "next_undecayed"
    at_zero = not (np.any(node.v_reset) or np.any(node.v_leak))
    floor = node.v_min is None or not np.any(node.v_min > 0)
    once = node.max_spikes == 1 and at_zero and floor
    return replace(node, reset_when="same") if late and once else node

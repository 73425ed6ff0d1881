"""Layers that changed brought back to the firing they were trained for, on data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.ir import Array, Graph, Neuron
from toolchain.ir.interpret import interpret

__all__ = ["match_rates"]

WIDEST = 4.0
"""The gain of a layer is searched from 1 / WIDEST to WIDEST."""
HALVINGS = 10
"""Halvings of that interval; the gain is then known to 0.3 %."""


def match_rates(changed: Graph, trained: Graph, spikes: Array) -> Graph:
    """``changed`` with the gain of each changed layer such that it spikes as often as trained.

    One layer after the other is put into ``trained``, where it hears what it was trained on, and
    its gain is found by bisection. A layer that was silent on ``spikes`` keeps its gain.

    Args:
        changed: the trained graph with other decays, under the same names.
        trained: what it should do.
        spikes: (batch, time, *features).

    Requires: gains are folded into weights afterwards (``fold_gain``).
    Ensures: layers with unchanged decays are untouched. An approximation, not an identity.
    """
    wanted = interpret(trained, spikes, record=True).layers
    for name, node in changed.of(Neuron).items():
        target, original = float(wanted[name].spikes.sum()), trained[name]
        assert isinstance(original, Neuron)
        if target and not node.decays_as(original):
            changed = changed.replace({name: _matched(node, name, trained, spikes, target)})
    return changed


def _matched(node: Neuron, name: str, trained: Graph, spikes: Array, target: float) -> Neuron:
    low, high = -np.log2(WIDEST), np.log2(WIDEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = replace(node, gain=node.gain * 2.0**middle)
        run = interpret(trained.replace({name: tried}), spikes, record=True)
        if float(run.layers[name].spikes.sum()) < target:
            low = middle
        else:
            high = middle
    return replace(node, gain=node.gain * 2.0 ** ((low + high) / 2))

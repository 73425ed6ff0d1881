"""Ceiling of a deployment's agreement; see :mod:`toolchain.runs.ceiling`."""

from __future__ import annotations

from functools import partial

from toolchain.arrays import Array
from toolchain.chips.load import family_of
from toolchain.chips.once import once
from toolchain.deployment.store import Parts
from toolchain.ir import Neuron
from toolchain.runs.ceiling import Ceiling, ceiling_of

__all__ = ["ceiling_on"]


def ceiling_on(parts: Parts, counts: Array) -> Ceiling | None:
    """Return what rounding of the weights alone would leave of the agreement on some spikes.

    None if outputs are read as states, if there is no trained network, if the family does not
    state how its chips round, or if there are too few output spikes.

    Args:
        parts: the deployment.
        counts: (batch, time, *features); a bounded part of them is used.
    """
    graph, rounding = parts.graph, family_of(parts.on_chip.chip).rounding()
    spiking = all(isinstance(graph[name], Neuron) for name in graph.outputs)
    if rounding is None or not spiking or graph is parts.quantized or not counts.size:
        return None
    counts = counts.reshape(*counts.shape[:2], *graph.shape(graph.input))
    return once(partial(ceiling_of, graph, counts, rounding), "ceiling", graph, counts, rounding)

"""Membranes in real numbers as sums: what each weight adds, what each of its own spikes takes away.

Where all spikes are given, those of a neuron too, its membrane is a sum: of the response to each
input times its weight, of the response to a constant bias, less the remains of its resets.
"""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.quantize.measure import PopulationTrace
from toolchain.chips.xylo.quantize.populations import FloatPopulation

__all__ = ["bias_response", "grouped", "membranes", "reset_response", "responses"]


def grouped(mem: Array, syn: Array) -> tuple[Array, Array]:
    """Return the different rows of (neurons, 1 + synapses) decays, and the row of each neuron."""
    rows, group = np.unique(np.column_stack([mem, syn]), axis=0, return_inverse=True)
    return rows, group.reshape(-1)


def responses(spikes: Array, mem: float, syn: float) -> Array:
    """Return the membrane that a weight of 1 for ``spikes`` (..., time) gives, in float64.

    >>> responses(np.array([[1, 0, 0]]), mem=0.5, syn=0.25).tolist()
    [[0.25, 0.1875, 0.109375]]
    """
    found = np.empty(spikes.shape)
    current, membrane = np.zeros(spikes.shape[:-1]), np.zeros(spikes.shape[:-1])
    for step in range(spikes.shape[-1]):
        current = syn * (current + spikes[..., step])
        membrane = mem * membrane + current
        found[..., step] = membrane
    return found


def bias_response(steps: int, mem: float) -> Array:
    """Return the membrane that a bias of 1 gives, (time,)."""
    return np.asarray(np.cumsum(float(mem) ** np.arange(steps)))


def reset_response(own: Array, mem: float) -> Array:
    """Return what a reset by 1 at each of the spikes ``own`` (..., time) has left, before spikes.

    >>> reset_response(np.array([[1, 1, 0]]), mem=0.5).tolist()
    [[0.0, 0.5, 0.75]]
    """
    found, left = np.empty(own.shape), np.zeros(own.shape[:-1])
    for step in range(own.shape[-1]):
        found[..., step] = left
        left = mem * (left + own[..., step])
    return found


def membranes(population: FloatPopulation, trace: PopulationTrace) -> Array:
    """Return the membranes before resets as trained, in thresholds, (neurons, samples, time)."""
    found = np.zeros(trace.own.shape)
    rows, group = grouped(population.alpha_mem, population.alpha_syn)
    for n, (mem, *synapses) in enumerate(rows):
        own = group == n
        for synapse, syn in enumerate(synapses):
            for source, spikes in zip(population.sources, trace.spikes, strict=True):
                response = responses(spikes, mem, syn)
                found[own] += np.tensordot(source.weight[own, synapse], response, axes=1)
        constant = bias_response(trace.own.shape[2], mem)
        found[own] += population.bias[own][:, None, None] * constant
        found[own] /= population.threshold[own][:, None, None]
        found[own] -= reset_response(trace.own[own], mem)
    return found

"""Runs within bounds of work and memory: sizes of networks, parts of the spikes, batches."""

from __future__ import annotations

from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Conv2d, Graph, Neuron
from toolchain.runs.interpret import interpret

__all__ = ["neurons_of", "outputs_in_batches", "part_within", "values_of", "window_values_of"]

LARGEST = 4_000_000
"""Numbers that the interpreter computes for a batch at most: 32 MB; more for one sample alone."""


def neurons_of(graph: Graph) -> int:
    """Return the number of spiking neurons.

    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(2, 3)), "spk": Neuron(shape=(2, 3), v_threshold=1.0)}
    >>> graph = Graph.chain({**nodes, "output": Output()})
    >>> neurons_of(graph), values_of(graph)
    (6, 18)
    """
    return sum(prod(node.shape) for node in graph.of(Neuron).values())


def values_of(graph: Graph) -> int:
    """Return how many numbers all nodes give in a timestep."""
    return sum(prod(graph.shape(name)) for name in graph.nodes)


def window_values_of(graph: Graph) -> int:
    """Return how many numbers the windows of all convolutions hold in a timestep.

    The interpreter copies each window, so that this is its memory and most of its work where
    kernels are large.

    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(2, 5, 5)), "conv": Conv2d(weight=np.ones((4, 2, 3, 3)))}
    >>> window_values_of(Graph.chain({**nodes, "output": Output()}))  # 3 x 3 windows
    162
    """
    return sum(
        node.groups * prod(node.weight.shape[1:]) * prod(graph.shape(name)[1:])
        for name, node in graph.of(Conv2d).items()
    )


def part_within(spikes: Array, units: int, most: int) -> Array:
    """Return the first timesteps and evenly spaced samples, so that the work on them is bounded.

    Args:
        spikes: (batch, time, *features).
        units: neurons or values of the network that is run on them.
        most: units times timesteps times samples; one timestep of one sample is always left.

    >>> part_within(np.zeros((9, 20, 3)), units=10, most=800).shape
    (4, 20, 3)
    >>> part_within(np.zeros((9, 20, 3)), units=100, most=800).shape
    (1, 8, 3)
    """
    room = most // max(1, units)
    spikes = spikes[:, : max(1, room)]
    samples = max(1, room // max(1, spikes.shape[1]))
    if len(spikes) <= samples:
        return spikes
    return np.asarray(spikes[np.linspace(0, len(spikes) - 1, samples).astype(int)])


def outputs_in_batches(graph: Graph, spikes: Array) -> Array:
    """Return the output spikes (batch, time, *features) of ``interpret``, in bounded memory.

    Args:
        graph: the network.
        spikes: (batch, time, *input shape), at least one sample.

    Raises:
        ValueError: ``spikes`` is not of that shape.

    >>> from toolchain.ir import Input, Output
    >>> outputs_in_batches(
    ...     Graph.chain({"input": Input(shape=(1,)), "output": Output()}), np.ones((3, 2, 1))
    ... ).shape
    (3, 2, 1)
    """
    each = spikes.shape[1] * (values_of(graph) + window_values_of(graph))
    size = max(1, LARGEST // max(1, each))
    parts = [spikes[start : start + size] for start in range(0, len(spikes), size)]
    return np.concatenate([interpret(graph, part).spikes for part in parts])

"""Runs within bounds of work and memory: sizes of networks, and parts of the spikes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Conv2d, Graph, Neuron

__all__ = [
    "ALIGNED",
    "MOST_VALUES",
    "aligned_parts",
    "even_parts",
    "neurons_of",
    "part_within",
    "samples_at_once",
    "steps_at_once",
    "values_of",
    "window_values_of",
]

MOST_VALUES = 2**22
"""Numbers that the interpreter computes for one part of the samples and timesteps: 32 MiB; more if
one timestep of one sample has more.
"""
MOST_A_STEP = 2**16
"""Numbers of one timestep of the samples that run together: those of many samples amortize the
calls, and more than these leave the processor's caches.
"""
ALIGNED = 16
"""Rows that a product of matrices is split at. The library of linear algebra adds the products of a
row in an order that depends on its place in a block of 4 to 16 rows, and differs for those that are
left at the end; parts that keep these places keep every bit.
"""


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


def samples_at_once(graph: Graph) -> int:
    """Return how many samples the interpreter runs together."""
    most = MOST_VALUES if graph.recurrent else MOST_A_STEP
    return max(1, most // max(1, values_of(graph)))


def steps_at_once(graph: Graph, batch: int) -> int:
    """Return how many timesteps of so many samples the interpreter evaluates together."""
    return max(1, MOST_VALUES // max(1, values_of(graph) * batch))


def even_parts(length: int, most: int) -> Iterator[slice]:
    """Yield slices of about the same length, at most ``most``; one at least, if it is empty.

    >>> list(even_parts(5, 3)), list(even_parts(0, 3))
    ([slice(0, 2, None), slice(2, 5, None)], [slice(0, 0, None)])
    """
    parts = max(1, -(-length // max(1, most)))
    for n in range(parts):
        yield slice(length * n // parts, length * (n + 1) // parts)


def aligned_parts(length: int, most: int, unit: int = ALIGNED) -> Iterator[slice]:
    """Yield slices that start at multiples of ``unit``; all but an only one are at least as long.

    ``most`` is exceeded by less than two units.

    >>> list(aligned_parts(70, most=40)), list(aligned_parts(9, most=1))
    ([slice(0, 32, None), slice(32, 70, None)], [slice(0, 9, None)])
    """
    size = max(unit, most // unit * unit)
    parts = max(1, (length + size - unit) // size)
    for n in range(parts):
        yield slice(n * size, length if n == parts - 1 else (n + 1) * size)

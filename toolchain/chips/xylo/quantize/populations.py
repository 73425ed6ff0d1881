"""Float graph as plain arrays, one population after the other: the input of the search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.lower.layers import DenseLayers, Projection
from toolchain.ir import Membrane, Neuron

__all__ = ["MATRICES", "FloatPopulation", "IncomingProjection", "WeightMatrix", "read_populations"]

WeightMatrix: TypeAlias = Literal["in", "rec", "out"]
"""One of the chip's three weight memories, each with one shift for all its weights."""

MATRICES: tuple[WeightMatrix, ...] = ("in", "rec", "out")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IncomingProjection:
    """One projection into a population.

    Attributes:
        name: the user's name of the weight.
        pre: the population, or the input, whose spikes arrive.
        matrix: the memory that stores it.
        weight: float (neurons, synapses, pre neurons).
        delay: timesteps between a spike and its effect in the graph.
    """

    name: str
    pre: str
    matrix: WeightMatrix
    weight: Array
    delay: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FloatPopulation:
    """One population in floats, one entry a neuron.

    Attributes:
        name: the user's name of the layer.
        sources: its incoming projections.
        alpha_mem: (neurons,) factor the membrane keeps over a step.
        alpha_syn: (neurons, synapses).
        threshold, bias: (neurons,).
        cap: most spikes a neuron and step.
    """

    name: str
    sources: tuple[IncomingProjection, ...]
    alpha_mem: Array
    alpha_syn: Array
    threshold: Array
    bias: Array
    cap: int

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return len(self.threshold)

    @property
    def matrices(self) -> tuple[WeightMatrix, ...]:
        """Memories that store its weights."""
        return tuple(m for m in MATRICES if any(s.matrix == m for s in self.sources))

    def largest(self, matrix: WeightMatrix) -> Array:
        """Return the largest ``|weight|`` in ``matrix``, (neurons, synapses)."""
        found = [np.abs(s.weight).max(axis=2) for s in self.sources if s.matrix == matrix]
        return np.asarray(np.max(found, axis=0))

    def grid(self, name: str, shifts: Mapping[WeightMatrix, int], most: int) -> tuple[int, int]:
        """Return the step between integers of weight ``name``, and the largest in steps.

        A weight that is stored in several matrices at once is limited by all of their shifts.
        """
        used = [shifts[s.matrix] for s in self.sources if s.name == name]
        return 2 ** max(used), (most * 2 ** min(used)) // 2 ** max(used)


def read_populations(
    layers: DenseLayers, *, hidden_cap: int, output_cap: int
) -> dict[str, FloatPopulation]:
    """Return every population of a graph that passes the neuron rules, producers first."""
    return {
        name: _population(name, node, layers, output_cap if name in layers.outputs else hidden_cap)
        for name, node in layers.neurons.items()
    }


def _population(name: str, node: Membrane, layers: DenseLayers, cap: int) -> FloatPopulation:
    assert isinstance(node, Neuron)
    assert node.alpha_syn is not None
    each = (*node.shape, node.synapses)
    return FloatPopulation(
        name=name,
        sources=tuple(_sources(name, node, layers)),
        alpha_mem=_flat(node.alpha_mem, node),
        alpha_syn=np.broadcast_to(node.alpha_syn, each).reshape(-1, node.synapses),
        threshold=_flat(node.v_threshold, node),
        bias=_flat(node.bias, node),
        cap=cap,
    )


def _sources(name: str, node: Neuron, layers: DenseLayers) -> Iterator[IncomingProjection]:
    for p in layers.into(name):
        weight = p.weight.reshape(-1, node.synapses, p.weight.shape[1])
        yield IncomingProjection(
            name=p.name, pre=p.pre, matrix=_matrix(p, layers), weight=weight, delay=p.delay
        )


def _matrix(projection: Projection, layers: DenseLayers) -> WeightMatrix:
    if projection.pre == layers.input:
        return "in"
    return "out" if projection.post in layers.outputs else "rec"


def _flat(value: Array, node: Neuron) -> Array:
    return np.broadcast_to(value, node.shape).reshape(-1)

"""The choices of a search for each population, and the graph that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.words import SignedWords, signed_words
from toolchain.chips.xylo.quantize.populations import WeightMatrix
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph, Linear, Neuron, Node

__all__ = ["Plan", "PopulationIntegers", "XyloWords", "integers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XyloWords(SignedWords):
    """Largest magnitudes of the chip's integers; symmetric, so that -128 is never used.

    Attributes:
        shift, dash: largest weight shift and largest decay.
    """

    shift: int
    dash: int

    @classmethod
    def of(cls, chip: XyloChip) -> XyloWords:
        """Return the words of ``chip``."""
        return cls(
            **signed_words(chip.limits),
            shift=2 ** int(chip.limits.weight_shift_width.value) - 1,
            dash=2 ** int(chip.limits.dash_width.value) - 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PopulationIntegers:
    """Integers of one population.

    Attributes:
        dash_mem: int (neurons,).
        dash_syn: int (neurons, synapses).
        scale: (neurons,) integer steps for one unit of the float membrane.
        limited_by: the word that limits the scale of most of its neurons.
        depth: states saturate beyond this many thresholds; inf if they never do.
        weights: int (neurons, synapses, pre neurons), shift included, by the user's name.
        steps: distance between the possible integers of each weight, by the user's name.
        nominal: (neurons,) thresholds at this scale, before rounding.
        threshold, bias: int (neurons,).
    """

    dash_mem: Array
    dash_syn: Array
    scale: Array
    limited_by: str
    depth: float
    weights: Mapping[str, Array]
    steps: Mapping[str, int]
    nominal: Array
    threshold: Array
    bias: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The integers of every population, and the shift of each matrix."""

    choices: Mapping[str, PopulationIntegers]
    shifts: Mapping[WeightMatrix, int]

    def with_population(self, name: str, choice: PopulationIntegers) -> Plan:
        """Return the plan with the integers of one population replaced."""
        return replace(self, choices={**self.choices, name: choice})


def integers(graph: Graph, plan: Plan) -> Graph:
    """Return ``graph`` with the integers of ``plan``."""
    changes: dict[str, Node] = {}
    for name, choice in plan.choices.items():
        for weight, values in choice.weights.items():
            node = graph[weight]
            assert isinstance(node, Linear)
            bias = None if node.bias is None else np.zeros(node.bias.shape, np.int64)
            changes[weight] = replace(node, weight=values.reshape(node.weight.shape), bias=bias)
        neuron = graph[name]
        assert isinstance(neuron, Neuron)
        changes[name] = _neuron(neuron, choice)
    return graph.replace(changes)


def _neuron(node: Neuron, choice: PopulationIntegers) -> Neuron:
    threshold = choice.threshold.reshape(node.shape)
    syn = 1 - 2.0**-choice.dash_syn
    return replace(
        node,
        alpha_mem=_compact((1 - 2.0**-choice.dash_mem).reshape(node.shape)),
        alpha_syn=syn[0] if np.all(syn == syn[0]) else syn.reshape(*node.shape, -1),
        v_threshold=threshold,
        reset_amount=None if node.reset_amount is None else threshold,
        bias=_compact(choice.bias.reshape(node.shape)),
        v_init=np.zeros((), np.int64),
        v_leak=np.zeros((), np.int64),
    )


def _compact(values: Array) -> Array:
    """Return one number if all values are the same, else all of them."""
    same = values.size and np.all(values == values.flat[0])
    return np.asarray(values.flat[0]) if same else values

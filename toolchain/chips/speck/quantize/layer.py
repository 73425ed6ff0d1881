"""Weights and neurons of a core in floats, and their integers at one scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.arrays import Array, whole
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.words import SignedWords, signed_words
from toolchain.ir import Conv2d, Graph, Neuron

__all__ = ["CoreLayer", "Integers", "SpeckWords", "apply_integers", "integers", "read_layers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeckWords(SignedWords):
    """Largest values of the chip's signed words.

    Attributes:
        floor: the largest floor that works, <= 0, lsb.
    """

    floor: int

    @classmethod
    def of(cls, chip: SpeckChip) -> SpeckWords:
        """Return the words of ``chip``."""
        return cls(**signed_words(chip.limits), floor=int(chip.limits.threshold_low_max.value))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoreLayer:
    """A convolution and the neurons behind it: what one core computes.

    Attributes:
        name, weight_name: the user's names of the neurons and of the convolution.
        conv, neuron: both in floats.
    """

    name: str
    weight_name: str
    conv: Conv2d
    neuron: Neuron

    @property
    def threshold(self) -> float:
        """The largest threshold; a core has one."""
        return float(self.neuron.v_threshold.max())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Integers:
    """The integers of a layer.

    Attributes:
        scale: integer steps of a unit of the float network.
        weight, bias: integers, in the shapes of the convolution's.
        threshold, floor, initial: integers, in the shapes of the neurons'; floor None for the
            lowest value of the word.
        limited_by: the word that limits the scale.
    """

    scale: float
    weight: Array
    bias: Array | None
    threshold: Array
    floor: Array | None
    initial: Array
    limited_by: str

    @property
    def levels(self) -> int:
        """The largest magnitude of a weight."""
        return int(np.abs(self.weight).max(initial=0))


def read_layers(graph: Graph) -> tuple[CoreLayer, ...]:
    """Return every core of a shaped graph, in order, read once for each Graph.

    Neurons without a convolution are left out.
    """
    return graph.derived(_read)


def _read(graph: Graph) -> tuple[CoreLayer, ...]:
    found = []
    for name, neuron in graph.of(Neuron).items():
        weight_name = graph.before(name)
        conv = graph[weight_name]
        if isinstance(conv, Conv2d):
            found.append(CoreLayer(name=name, weight_name=weight_name, conv=conv, neuron=neuron))
    return tuple(found)


def integers(layer: CoreLayer, scale: float, words: SpeckWords, *, limited_by: str) -> Integers:
    """Multiply each number by ``scale``, round half to even and clip to its word.

    A threshold is at least 1, and a floor below 0 stays below 0.
    """
    conv, neuron = layer.conv, layer.neuron
    floor = None
    if neuron.v_min is not None:
        floor = _round_to_word(neuron.v_min * scale, -words.state - 1, words.state)
        floor = np.where(neuron.v_min < 0, np.minimum(floor, words.floor), floor)
    return Integers(
        scale=scale,
        weight=_round_to_word(conv.weight * scale, -words.weight, words.weight),
        bias=None
        if conv.bias is None
        else _round_to_word(conv.bias * scale, -words.bias, words.bias),
        threshold=_round_to_word(neuron.v_threshold * scale, 1, words.threshold),
        floor=floor,
        initial=_round_to_word(neuron.v_init * scale, -words.state - 1, words.state),
        limited_by=limited_by,
    )


def _round_to_word(value: Array, lowest: int, highest: int) -> Array:
    return np.asarray(np.clip(np.rint(value), lowest, highest).astype(np.int64))


def apply_integers(graph: Graph, found: Mapping[str, Integers]) -> Graph:
    """Return ``graph`` with the integers of each layer, by the name of its neurons."""
    layers = read_layers(graph)
    convolutions = {
        layer.weight_name: replace(
            layer.conv, weight=found[layer.name].weight, bias=found[layer.name].bias
        )
        for layer in layers
    }
    neurons = {layer.name: _with_integers(layer.neuron, found[layer.name]) for layer in layers}
    return graph.replace({**convolutions, **neurons})


def _with_integers(neuron: Neuron, quantized: Integers) -> Neuron:
    amount = neuron.reset_amount
    return replace(
        neuron,
        v_threshold=quantized.threshold,
        reset_amount=None if amount is None else _round_scaled(amount, quantized),
        bias=_round_scaled(neuron.bias, quantized),
        v_init=quantized.initial,
        v_leak=_round_scaled(neuron.v_leak, quantized),
        v_min=quantized.floor,
    )


def _round_scaled(value: Array, quantized: Integers) -> Array:
    """Scale a value that no core stores; the rules refuse it unless it is 0 or the threshold."""
    return whole(value * quantized.scale)

"""Integers for weights, biases, thresholds and floors, by one scale a layer or a neuron.

The outputs of a neuron layer are unit events, so a layer's weights, biases, thresholds and floor
can be multiplied by one factor without changing its spikes. The largest factor that fits every
word has the smallest rounding error; :func:`scales` returns it with the word that limits it.

Rounding is half to even. Weights use the symmetric range, so that -128 is never needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from toolchain.arrays import Array, whole
from toolchain.ir import Conv2d, Graph, Linear, Neuron, Node
from toolchain.passes.weights import scaled, to_rows, weights_of

__all__ = ["QuantizationScale", "WordWidths", "quantize", "rounded", "scales"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordWidths:
    """Widths of the chip's signed words, bit; ``bias`` is None on a chip without a bias."""

    weight: int
    bias: int | None
    threshold: int
    state: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantizationScale:
    """The scale of one layer.

    Attributes:
        factor: steps of the integer word per unit of the float network; scalar, or (neurons,).
        limited_by: the word that limits the factor: ``weights``, ``bias``, ``threshold``,
            ``v_min`` or ``state``; per layer, the one that limits most neurons.
    """

    factor: Array
    limited_by: str


def quantize(
    graph: Graph,
    *,
    bits: WordWidths,
    per: Literal["layer", "neuron"],
    peaks: Mapping[str, Array] | None = None,
) -> Graph:
    """Scale and round weights, biases, thresholds and floors to integers.

    Args:
        graph: real-valued network.
        bits: widths of the words.
        per: one factor a layer, or one a neuron (dense weights only; convolutions get one a
            layer in either case).
        peaks: largest ``|state|`` of each neuron on calibration data, in float units; the factor
            is limited so that this fits the state word.

    Requires: neurons driven only by weights; other layers stay real-valued, and the rules refuse
    them. Gains and the order of decay are folded before (``fold_gain``).
    Ensures: every value fits its word; a threshold is never below 1. The response is that of the
    float network except for rounding.

    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(2,)), "fc": Linear(weight=[[0.5, -0.25]])}
    >>> nodes |= {"lif": Neuron(shape=(1,), v_threshold=1.0), "output": Output()}
    >>> bits = WordWidths(weight=8, bias=8, threshold=16, state=16)
    >>> graph = quantize(Graph.chain(nodes), bits=bits, per="layer")
    >>> graph["fc"].weight.tolist(), int(graph["lif"].v_threshold)
    ([[127, -64]], 254)
    """
    return rounded(graph, scales(graph, bits=bits, per=per, peaks=peaks))


def rounded(graph: Graph, scales: Mapping[str, QuantizationScale]) -> Graph:
    """Multiply each layer of ``scales`` by its scale and round it, a threshold to at least 1."""
    for name, scale in scales.items():
        node = graph[name]
        assert isinstance(node, Neuron)
        changes: dict[str, Node] = {
            weight: _round_weight(scaled(graph[weight], to_rows(node, scale.factor)))
            for weight in weights_of(graph, name) or ()
        }
        changes[name] = _round_neuron(node, scale.factor)
        graph = graph.replace(changes)
    return graph


def scales(
    graph: Graph,
    *,
    bits: WordWidths,
    per: Literal["layer", "neuron"],
    peaks: Mapping[str, Array] | None = None,
) -> dict[str, QuantizationScale]:
    """Return the scale of every neuron layer that can be quantized."""
    by_layer: dict[str, QuantizationScale] = {}
    for name, node in graph.of(Neuron).items():
        names = weights_of(graph, name)
        if names is None:
            continue
        nodes = [graph[n] for n in names]
        weights = [each for each in nodes if isinstance(each, (Linear, Conv2d))]
        limits = _limits(node, weights, bits, (peaks or {}).get(name))
        if per == "layer" or any(isinstance(w, Conv2d) for w in weights):
            limits = [(word, np.min(limit)) for word, limit in limits]
        by_layer[name] = _smallest(limits)
    return by_layer


def _limits(
    node: Neuron, weights: list[Linear | Conv2d], bits: WordWidths, peak: Array | None
) -> list[tuple[str, Array]]:
    """Return the largest factor that each word allows: a number, or one per neuron."""
    limits = [("weights", _largest_factor(bits.weight, _peaks(node, w.weight))) for w in weights]
    limits.append(("threshold", _largest_factor(bits.threshold, node.v_threshold)))
    if bits.bias is not None:
        biases = [w.bias for w in weights if w.bias is not None]
        limits += [("bias", _largest_factor(bits.bias, _peaks(node, bias))) for bias in biases]
        limits.append(("bias", _largest_factor(bits.bias, node.bias)))
    limits.append(("state", _largest_factor(bits.state, node.v_init)))
    if node.v_min is not None:
        limits.append(("v_min", _largest_factor(bits.state, node.v_min)))
    if peak is not None:
        limits.append(("state", _largest_factor(bits.state, peak)))
    return limits


def _peaks(node: Neuron, rows: Array) -> Array:
    """Return the largest magnitude in the rows of each neuron, or of each output channel."""
    magnitudes = np.abs(rows).reshape(len(rows), -1).max(axis=1)
    return np.asarray(magnitudes.reshape(-1, max(1, node.synapses)).max(axis=1))


def _largest_factor(width: int, value: Array) -> Array:
    """Return the largest factor with which ``value`` fits ``width`` bit, signed; inf for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray((2 ** (width - 1) - 1) / np.abs(value))


def _smallest(limits: list[tuple[str, Array]]) -> QuantizationScale:
    words = [word for word, _ in limits]
    stack = np.stack(np.broadcast_arrays(*(limit for _, limit in limits)))
    first = np.bincount(stack.argmin(axis=0).ravel(), minlength=len(words))
    return QuantizationScale(factor=stack.min(axis=0), limited_by=words[int(first.argmax())])


def _round(value: Array, least: int | None = None) -> Array:
    rounded = whole(value)
    return rounded if least is None else np.maximum(rounded, least)


def _round_weight(node: Node) -> Node:
    assert isinstance(node, (Linear, Conv2d))
    bias = None if node.bias is None else _round(node.bias)
    return replace(node, weight=_round(node.weight), bias=bias)


def _round_neuron(node: Neuron, factor: Array) -> Neuron:
    subtracts = node.reset_amount
    return replace(
        node,
        v_threshold=_round(node.v_threshold * factor, least=1),
        reset_amount=None if subtracts is None else _round(subtracts * factor),
        bias=_round(node.bias * factor),
        v_init=_round(node.v_init * factor),
        v_leak=_round(node.v_leak * factor),
        v_min=None if node.v_min is None else _round(node.v_min * factor),
    )

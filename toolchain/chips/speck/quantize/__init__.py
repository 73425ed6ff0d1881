"""Quantization of a float network to Speck's integers.

``common`` follows sinabs; ``auto`` uses 16 bits for biases, clips outliers and rounds weights
jointly, scored on calibration spikes. Both choose one scale a core: its output is events, so all
its numbers can be multiplied by one factor.

>>> QUANTIZERS
('auto', 'common')
"""

from __future__ import annotations

from toolchain.arrays import Array
from toolchain.chips.speck.quantize.auto import auto
from toolchain.chips.speck.quantize.candidates import from_weights_alone
from toolchain.chips.speck.quantize.common import common
from toolchain.chips.speck.quantize.layer import SpeckWords, apply_integers, read_layers
from toolchain.chips.speck.quantize.report import agreements, scale_limits
from toolchain.chips.speck.rules.graph import computes
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph

__all__ = ["QUANTIZERS", "quantize"]

QUANTIZERS = ("auto", "common")


def quantize(
    graph: Graph, chip: SpeckChip, calibration: Array | None, method: str
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Return ``graph`` in integers, and the findings about it.

    Args:
        graph: float network in the chip's layers.
        chip: the target chip.
        calibration: spikes (batch, time, channels, y, x) that ``auto`` runs the network on; without
            them, or where the rules refuse the network anyway, it uses the weights alone.
        method: one of ``QUANTIZERS``.

    Requires: neurons with a convolution of their own; others stay in floats.
    Ensures: every integer fits its word; the input graph is unchanged.

    >>> import numpy as np
    >>> from toolchain import load_chip
    >>> from toolchain.ir import Conv2d, Graph, Input, Neuron, Output
    >>> nodes = {
    ...     "input": Input(shape=(1, 1, 1)),
    ...     "conv": Conv2d(weight=np.array([[[[0.5]]], [[[-0.25]]]])),
    ...     "spk": Neuron(shape=(2, 1, 1), v_threshold=1.0),
    ...     "output": Output(),
    ... }
    >>> graph, findings = quantize(Graph.chain(nodes), load_chip("speck2f"), None, "common")
    >>> graph["conv"].weight.ravel().tolist(), int(graph["spk"].v_threshold)
    ([127, -64], 254)
    >>> print(findings[0].message)
    weights limit its scale to 254: weights use 127 of 127 levels
    """
    layers = read_layers(graph)
    if method == "common":
        found = {layer.name: common(layer, chip) for layer in layers}
        return apply_integers(graph, found), tuple(scale_limits(layers, found, chip))
    if calibration is None or not calibration.size or not computes(graph, chip):
        words = SpeckWords.of(chip)
        found = {layer.name: from_weights_alone(layer, words) for layer in layers}
        return apply_integers(graph, found), tuple(scale_limits(layers, found, chip))
    outcome = auto(graph, chip, calibration)
    found = {name: one.integers for name, one in outcome.layers.items()}
    findings = scale_limits(layers, found, chip, outcome)
    return apply_integers(graph, found), (*findings, agreements(outcome))

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
from toolchain.chips.speck.quantize.guess import choose_on_guess, compare_integers, from_weights
from toolchain.chips.speck.quantize.layer import apply_integers, read_layers
from toolchain.chips.speck.quantize.report import agreements, scale_limits
from toolchain.chips.speck.rules.graph import computes
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.uncalibrated import findings_on_guess
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
        calibration: spikes (batch, time, channels, y, x) that ``auto`` runs the network on;
            without them it uses the weights alone, and judges the results on guessed spikes.
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
    fits = computes(graph, chip)
    if fits and (calibration is None or not calibration.size):
        return _without_calibration(graph, chip, method)
    if method == "common" or calibration is None or not fits:
        found = from_weights(layers, chip, method)
        return apply_integers(graph, found), tuple(scale_limits(layers, found, chip))
    outcome = auto(graph, chip, calibration)
    found = {name: one.integers for name, one in outcome.layers.items()}
    findings = scale_limits(layers, found, chip, outcome)
    return apply_integers(graph, found), (*findings, agreements(outcome))


def _without_calibration(
    graph: Graph, chip: SpeckChip, method: str
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Return integers that are judged on guessed spikes, with the warning that they are."""
    layers, scales, chosen = read_layers(graph), "scales come from the weights alone", method
    if method == "common":
        found = from_weights(layers, chip, method)
        compared = compare_integers(graph, chip, {method: found})
    else:
        result = choose_on_guess(graph, chip)
        found, compared, chosen = dict(result.layers), result.compared, result.chosen
        if chosen != method:
            scales = f"integers of {chosen!r} are used: {scales}"
        elif result.percentile < 100:
            scales += f", of which {100 - result.percentile:g} % are clipped"
    guessed = findings_on_guess(compared, chosen, scales, graph.shape(graph.input))
    return apply_integers(graph, found), (*scale_limits(layers, found, chip), *guessed)

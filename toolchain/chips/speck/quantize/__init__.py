"""Quantization of a float network to Speck's integers.

``common`` follows sinabs; ``auto`` uses 16 bits for biases, clips outliers and rounds weights
jointly, scored on calibration spikes. Both choose one scale a core: its output is events, so all
its numbers can be multiplied by one factor.

>>> QUANTIZERS
('auto', 'common')
"""

from __future__ import annotations

from functools import partial

from toolchain.arrays import Array
from toolchain.chips.once import once
from toolchain.chips.speck.quantize.auto import auto
from toolchain.chips.speck.quantize.guess import (
    choose_on_guess,
    clipped_at,
    from_weights,
    integers_to_try,
)
from toolchain.chips.speck.quantize.layer import apply_integers, read_layers
from toolchain.chips.speck.quantize.limits import SpeckQuantizerLimits
from toolchain.chips.speck.quantize.report import agreements, scale_limits, weight_scales
from toolchain.chips.speck.quantize.unfit import unfit
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.uncalibrated import findings_on_guess, has_spikes
from toolchain.chips.words import largest
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph
from toolchain.runs.ceiling import WeightRounding

__all__ = ["QUANTIZERS", "quantize", "rounding", "unfit"]

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

    Requires: a network for which ``unfit`` returns None.
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
    if method == "auto" and has_spikes(calibration):
        search = partial(auto, graph, chip, calibration)
        read = graph, calibration, SpeckQuantizerLimits.of(chip)
        outcome = once(search, "speck search", *read)
        found = {name: one.integers for name, one in outcome.layers.items()}
        findings = scale_limits(layers, found, chip, outcome)
        return apply_integers(graph, found), (*findings, agreements(outcome))
    if has_spikes(calibration):
        found = from_weights(layers, chip, method)
        return apply_integers(graph, found), tuple(scale_limits(layers, found, chip))
    tried = integers_to_try(layers, chip, method)
    choice = once(
        partial(choose_on_guess, graph, chip, tried),
        "speck choice on guessed spikes", graph, method, SpeckQuantizerLimits.of(chip),
    )  # fmt: skip
    scales = weight_scales(choice.shown, method, clipped_at(choice.name))
    limits = scale_limits(layers, tried[choice.name], chip)
    return choice.graph, (*limits, *findings_on_guess(choice, scales))


def rounding(chip: SpeckChip) -> WeightRounding:
    """Return how finely the weights of a layer are rounded.

    >>> from toolchain import load_chip
    >>> rounding(load_chip("speck2f")).levels
    127
    """
    return WeightRounding(levels=largest(chip.limits.weight_width), scale_of="layer")

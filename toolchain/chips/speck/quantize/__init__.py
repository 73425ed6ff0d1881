"""How a float network becomes Speck's integers.

``common`` is what sinabs does; ``auto`` uses 16 bits for biases, cuts outliers and rounds weights
together, judged on calibration spikes. Both choose one scale a core: events leave it, so that
everything it holds can be multiplied by one number.
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
    """``graph`` in integers, and what there is to say of them.

    Args:
        graph: float network in the chip's layers.
        chip: what it is for.
        calibration: spikes (batch, time, channels, y, x) that ``auto`` listens to; without them,
            or where the rules refuse the network anyway, it goes by the weights alone.
        method: one of ``QUANTIZERS``.

    Requires: neurons have a convolution of their own; others are left in floats.
    Ensures: every integer fits its word; the input is untouched.
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

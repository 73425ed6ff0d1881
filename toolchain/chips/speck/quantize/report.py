"""Findings on quantization: the limit of each scale, and the agreement with the float network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from toolchain.chips.rules.findings import info, warning
from toolchain.chips.speck.quantize.alone import ScoredIntegers
from toolchain.chips.speck.quantize.auto import Outcome
from toolchain.chips.speck.quantize.layer import CoreLayer, Integers, SpeckWords
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic
from toolchain.report import count
from toolchain.runs.agreement import LEAST_AGREEMENT

__all__ = ["agreements", "scale_limits", "weight_scales"]


def scale_limits(
    layers: tuple[CoreLayer, ...],
    found: Mapping[str, Integers],
    chip: SpeckChip,
    outcome: Outcome | None = None,
) -> Iterator[Diagnostic]:
    """Yield for each layer the word that limits its scale, and the weight levels in use."""
    words = SpeckWords.of(chip)
    for layer in layers:
        quantized = found[layer.name]
        most = max(words.weight, quantized.levels)  # a lowest weight of -128 is one more
        limits = "limit" if quantized.limited_by == "weights" else "limits"
        message = (
            f"{quantized.limited_by} {limits} its scale to "
            f"{quantized.scale:.4g}: weights use {quantized.levels} of {most} levels"
            + _clipping_text(layer, quantized, words)
        )
        report = info
        if outcome is not None:
            mine = outcome.layers[layer.name]
            message += _agreement_text(mine, outcome.common[layer.name])
            report = warning if not mine.silent and mine.agreement < LEAST_AGREEMENT else info
        yield report(
            "levels",
            layer.weight_name,
            message,
            quantized.levels,
            chip.limits.weight_width,
            chip,
            limit=most,
        )


def _clipping_text(layer: CoreLayer, quantized: Integers, words: SpeckWords) -> str:
    """Return the number of weights beyond the word as text; empty if there are none."""
    weights = np.abs(layer.conv.weight * quantized.scale)
    beyond = int((np.rint(weights) > words.weight + 1).sum())
    if not beyond:
        return ""
    percentile = 100 * (1 - beyond / weights.size)
    are = "is" if beyond == 1 else "are"
    return f"; {count(beyond)} of {count(weights.size)} {are} clipped (percentile {percentile:.4g})"


def _agreement_text(mine: ScoredIntegers, common: ScoredIntegers) -> str:
    message = (
        f"; on the float network's spikes its counts agree to {_percent(mine.agreement)}, "
        f"with common to {_percent(common.agreement)}"
        if not mine.silent
        else "; it has no spikes in the float network, so no agreement can be measured"
    )
    if mine.saturations:
        message += f"; {count(mine.saturations)} states saturate"
    return message


def agreements(outcome: Outcome) -> Diagnostic:
    """Return the agreement of the outputs, with the chosen and with the sinabs scales."""
    if outcome.fell_back:
        message = (
            "auto uses the scales of common: output counts on the calibration spikes agree to "
            f"{_percent(outcome.agreement)} with those before rounding, more than with its own"
        )
    else:
        message = (
            "output counts on the calibration spikes agree to "
            f"{_percent(outcome.agreement)} with those before rounding, with common to "
            f"{_percent(outcome.common_agreement)}"
        )
    return info("agreement", "network", message)


def weight_scales(chosen: str, method: str, percentile: float) -> str:
    """Return where the scales come from without calibration.

    Args:
        chosen: the method whose integers are used.
        method: the one that was asked for.
        percentile: of the weight magnitudes at which they are clipped; 100 for none.
    """
    used = f"integers of {chosen!r} are used: " if chosen != method else ""
    clipped = f", of which {100 - percentile:g} % are clipped" if percentile < 100 else ""
    return f"{used}scales come from the weights alone{clipped}"


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %"

"""Findings on a deployment without calibration, measured on guessed spikes."""

from __future__ import annotations

from collections.abc import Iterator

from toolchain.arrays import Array
from toolchain.chips.rules.findings import error, warning
from toolchain.deployment.deployment import Deployment
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Neuron
from toolchain.report import times
from toolchain.runs.agreement import agreement_of
from toolchain.runs.guess import guessed_spikes
from toolchain.runs.recording import aligned

__all__ = ["without_calibration"]

RULE = "no_calibration"
FEWEST = 10
"""Outputs that spike less often as trained may be silent on the chip: guesses tell little."""


def without_calibration(deployment: Deployment) -> tuple[Diagnostic, ...]:
    """Return the warning that no calibration was given, and an error for silent outputs.

    There are none if the quantizer has judged its integers on guessed spikes.
    """
    if any(finding.rule == RULE for finding in deployment.diagnostics):
        return ()
    outputs = dict.fromkeys(deployment.quantized.outputs)
    if not all(isinstance(deployment.quantized[name], Neuron) for name in outputs):
        return ()
    spikes = guessed_spikes(deployment.quantized)
    reference = deployment.reference(spikes, record=True)
    chip = deployment.simulate(spikes, record=True)
    silent = tuple(
        error(
            "silent_outputs",
            name,
            "never spikes on the chip on guessed spikes; as trained it spikes "
            f"{times(round(trained))} on them",
        )
        for name in outputs
        if (trained := float(reference.layers[name].spikes.sum())) >= FEWEST
        and not chip.layers[name].spikes.any()
    )
    return (*silent, *_warned(*aligned(reference.spikes, chip.spikes, deployment.lag_of_neurons)))


def _warned(wanted: Array, got: Array) -> Iterator[Diagnostic]:
    agreement = agreement_of(wanted, got)
    measured = (
        f"on guessed spikes output counts agree to {agreement}"
        if agreement.interval is not None
        else "on guessed spikes the outputs spike too rarely to tell the agreement"
    )
    yield warning(
        RULE, "network", f"scales come from the weights alone; {measured}; give calibration="
    )

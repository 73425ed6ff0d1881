"""Findings on the effect of all changes together, measured on spikes.

Each figure beyond its bound is a warning: output counts that agree to less than 90 % or that are
too few to tell, spike caps that the trained network does not have and that limit the chip, states
that saturate, layers that fall silent. Outputs that fall silent are an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.fidelity.effects import Trace
from toolchain.ir import Graph, Neuron
from toolchain.report import count, plural, times
from toolchain.runs.agreement import LEAST_AGREEMENT, UNTOLD, Agreement, agreement_of
from toolchain.runs.ceiling import Ceiling
from toolchain.runs.outputs import outputs_by_name
from toolchain.runs.recording import Recording, aligned
from toolchain.runs.states import compare_states

__all__ = [
    "CHANGES",
    "MOST_SATURATED",
    "agreement_severity",
    "graded",
    "measured",
    "on_calibration",
]

CHANGES = ("time_constants", "drives")
"""Rules of changes of single parameters, at most as severe as what was measured."""
MEASURED = "calibration"
"""Rule of the finding on the agreement of the outputs."""
MOST_SATURATED = 1e-3
"""Largest number of saturations without a warning, for each neuron and timestep."""
FAR = 0.1
"""Largest relative rms error of output states without a warning."""
FEWEST = 10
"""With fewer trained spikes, a layer or neuron without spikes on the chip is not reported."""


def agreement_severity(agreement: Agreement) -> Severity:
    """Return a warning for an agreement that is low or that too few spikes tell.

    >>> agreement_severity(Agreement(value=0.89, interval=(0.8, 0.95), spikes=400)).value
    'warning'
    """
    low = agreement.interval is None or agreement.value < LEAST_AGREEMENT
    return Severity.WARNING if low else Severity.INFO


def on_calibration(
    floats: Graph,
    quantized: Graph,
    trace: Trace,
    lag: int | Array,
    ceiling: Ceiling | None = None,
) -> tuple[Diagnostic, ...]:
    """Return the findings on the calibration spikes; errors if outputs are silent.

    Args:
        floats: input of the quantizer.
        quantized: the same in integers.
        trace: effects on the calibration spikes.
        lag: timesteps by which the outputs of the chip are later, or each output neuron.
        ceiling: agreement that rounding of the weights alone would leave.
    """
    outputs = [n for n in dict.fromkeys(quantized.outputs) if isinstance(quantized[n], Neuron)]
    findings = (
        *_silent(trace, outputs),
        *_capped(floats, trace, outputs),
        *_saturated(quantized, trace),
    )
    if outputs:
        findings += (*_silent_neurons(trace, lag), *_disagreeing(quantized, trace, lag))
    return (*findings, measured(trace.reference, trace.chip, lag, ceiling))


def measured(
    reference: Recording, chip: Recording, lag: int | Array, ceiling: Ceiling | None = None
) -> Diagnostic:
    """Report the effect of all changes together on the outputs of one run, spikes or states.

    Args:
        reference: outputs of the float network, (batch, time, outputs).
        chip: outputs of the chip for the same input.
        lag: timesteps by which the chip is later, or each of its output neurons; steps that only
            one of them has are omitted.
        ceiling: agreement that rounding of the weights alone would leave.

    >>> spikes = np.random.default_rng(0).poisson(0.3, (20, 50, 4))
    >>> reference = Recording(spikes=spikes)
    >>> chip = Recording(spikes=np.minimum(spikes, 2), saturations={"lif": 3})
    >>> finding = measured(reference, chip, lag=0)
    >>> finding.severity.value, finding.message.partition("; ")[2]
    ('info', 'counts agree to 98.8 % (97.8 to 99.4); 3 states saturated')
    """
    wanted, got = aligned(reference.spikes, chip.spikes, lag)
    agreement = agreement_of(wanted, got)
    clamped = sum(chip.saturations.values())
    if reference.readout is not None and chip.readout is not None:
        states = compare_states(*aligned(reference.readout, chip.readout, lag))
        far = not states.trained or states.error > FAR
        return Diagnostic(
            rule=MEASURED,
            severity=Severity.WARNING if far else Severity.INFO,
            where="network",
            message=f"output states on the calibration spikes: {states}; {count(clamped)} other "
            "states saturated",
        )
    saturated = f"; {count(clamped)} states saturated" if clamped else ""
    return Diagnostic(
        rule=MEASURED,
        severity=agreement_severity(agreement),
        where="network",
        message=_on_calibration(wanted, got, agreement, ceiling) + saturated,
    )


def graded(
    findings: Iterable[Diagnostic], ceiling: Ceiling | None = None
) -> tuple[Diagnostic, ...]:
    """Return the findings, those whose effect was measured together with its severity.

    A quantizer's figure (``agreement``) is left out if the outputs spike too rarely to tell it,
    else given beside the ceiling.
    Changes of single parameters (``time_constants``, ``drives``) that are warnings remain so unless
    the outputs agree in spite of them.

    >>> info = dict(where="network", message="agree to 47 %", severity=Severity.INFO)
    >>> low = dict(where="network", message="agree to 45 %", severity=Severity.WARNING)
    >>> found = graded([Diagnostic(rule="agreement", **info), Diagnostic(rule=MEASURED, **low)])
    >>> [finding.severity.value for finding in found]
    ['warning', 'warning']
    """
    findings = tuple(findings)
    of_all = (each for each in findings if (each.rule, each.where) == (MEASURED, "network"))
    measured = next(of_all, None)
    if measured is None:
        return findings
    untold = UNTOLD in measured.message
    reachable = "" if ceiling is None else f"; {ceiling} reachable"
    kept = (each for each in findings if each.rule != "agreement" or not untold)
    result = []
    for finding in kept:
        if finding.rule == "agreement":
            message = finding.message + reachable
            result.append(replace(finding, severity=measured.severity, message=message))
        elif finding.rule in CHANGES and finding.severity is Severity.WARNING:
            result.append(replace(finding, severity=measured.severity))
        else:
            result.append(finding)
    return tuple(result)


def _on_calibration(
    wanted: Array, got: Array, agreement: Agreement, ceiling: Ceiling | None = None
) -> str:
    trained, on_chip = round(float(wanted.sum())), round(float(got.sum()))
    if not agreement.spikes:
        return (
            "the calibration spikes never drive the outputs, neither as trained nor on the chip: "
            f"agreement: {UNTOLD}"
        )
    return (
        f"on the calibration spikes the outputs spike {times(trained)} as trained and "
        f"{times(on_chip)} on the chip; {_agreeing(agreement, ceiling)}"
    )


def _agreeing(agreement: Agreement, ceiling: Ceiling | None) -> str:
    if agreement.interval is None:
        return f"agreement: {agreement}"
    below = f", below {100 * LEAST_AGREEMENT:.0f} %" if agreement.value < LEAST_AGREEMENT else ""
    reachable = "" if ceiling is None else f", {ceiling.text}"
    return f"counts agree to {agreement}{below}{reachable}"


def _silent(trace: Trace, outputs: list[str]) -> Iterator[Diagnostic]:
    """Report layers that never spike on the chip though they do as trained."""
    for name, effect in trace.effects.items():
        if effect.chip or not effect.trained:
            continue
        if name in outputs:
            yield Diagnostic(
                rule="silent_outputs",
                severity=Severity.ERROR,
                where=name,
                message="never spikes on the chip on the calibration spikes; as trained it spikes "
                f"{times(effect.trained)}",
            )
        elif effect.trained >= FEWEST:
            yield Diagnostic(
                rule="silent_layer",
                severity=Severity.WARNING,
                where=name,
                message="never spikes on the chip on the calibration spikes; as trained it spikes "
                f"{times(effect.trained)}",
            )


def _silent_neurons(trace: Trace, lag: int | Array) -> Iterator[Diagnostic]:
    """Report output neurons that never spike on the chip though others do."""
    pair = aligned(trace.reference.spikes, trace.chip.spikes, lag)
    wanted, got = (spikes.sum(axis=(0, 1)) for spikes in pair)
    silent = (wanted >= FEWEST) & (got == 0)
    if silent.any() and got.any():
        yield Diagnostic(
            rule="silent_outputs",
            severity=Severity.WARNING,
            where="network",
            message=f"{plural(int(silent.sum()), 'output neuron')} of {len(silent)} never spike on "
            "the chip on the calibration spikes; as trained they spike "
            f"{times(round(float(wanted[silent].sum())))}",
        )


def _disagreeing(quantized: Graph, trace: Trace, lag: int | Array) -> Iterator[Diagnostic]:
    """Report each of several outputs that agrees too little, or spikes too rarely to tell it.

    Their common agreement is that of the one that spikes most.
    """
    pair = aligned(trace.reference.spikes, trace.chip.spikes, lag)
    wanted, got = (outputs_by_name(quantized, spikes) for spikes in pair)
    if len(wanted) == 1:
        return
    for name, output in quantized.output_names.items():
        agreement = agreement_of(wanted[name], got[name])
        if agreement_severity(agreement) is Severity.WARNING:
            (edge,) = quantized.pre(output)
            yield Diagnostic(
                rule=MEASURED,
                severity=Severity.WARNING,
                where=edge.pre,
                message=_on_calibration(wanted[name], got[name], agreement),
            )


def _capped(floats: Graph, trace: Trace, outputs: list[str]) -> Iterator[Diagnostic]:
    """Report layers whose spikes in one timestep are limited, unless they are as trained too."""
    for name, effect in trace.effects.items():
        node = floats[name]
        if not effect.capped or not isinstance(node, Neuron):
            continue
        if node.max_spikes is not None and node.max_spikes <= effect.chip_most:
            continue
        what = "outputs" if name in outputs else "neurons"
        yield Diagnostic(
            rule="spike_caps",
            severity=Severity.WARNING,
            where=name,
            message=f"{what} spike at most {times(effect.chip_most)} a timestep on the chip, which "
            f"limits them {times(effect.capped)} on the calibration spikes: "
            f"{count(effect.trained)} spikes become {count(effect.chip)}",
            need=effect.trained_most,
            limit=effect.chip_most,
        )


def _saturated(quantized: Graph, trace: Trace) -> Iterator[Diagnostic]:
    """Report layers with more saturations than ``MOST_SATURATED``."""
    for name, node in quantized.of(Neuron).items():
        clamped = trace.effects[name].saturations
        updates = int(np.prod(node.shape)) * trace.samples * trace.steps
        if clamped > MOST_SATURATED * updates:
            yield Diagnostic(
                rule="saturation",
                severity=Severity.WARNING,
                where=name,
                message=f"states saturate {times(clamped)} on the calibration spikes, "
                f"{clamped / updates:.2g} times a neuron and timestep",
                need=clamped,
                limit=int(MOST_SATURATED * updates),
            )

"""Agreement on calibration samples that a search did not use.

The deployed integers are searched on all of the calibration, so their agreement there is that of
data which the search has seen. Here the same search runs once more without a quarter of the
samples, and its integers are judged on that quarter. The figure is that of the method on unseen
spikes of the same kind, not of the deployed integers, which were found on more data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family, OnChip, Options
from toolchain.chips.once import once
from toolchain.chips.rules.findings import is_error
from toolchain.deployment.ceiling import ceiling_on
from toolchain.deployment.deployment import Deployment
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import Graph, Neuron
from toolchain.report import count
from toolchain.runs.agreement import LEAST_AGREEMENT, agreement_of
from toolchain.runs.bounded import neurons_of
from toolchain.runs.recording import aligned

__all__ = ["held_out"]

FEWEST = 8
"""Fewest samples of which a quarter is left out; fewer but longer samples are divided in time."""
SHORTEST = 50
"""Shortest part of a sample that is divided, timesteps."""
WORK = 1_000_000
"""Neurons times timesteps of all samples of the second search, at most: some seconds."""


def held_out(
    deployment: Deployment, floats: Graph, counts: Array, method: str, options: Options
) -> Iterator[Diagnostic]:
    """Yield the agreement on a quarter of the samples, if there are enough.

    Args:
        deployment: the deployed network.
        floats: input of the quantizer.
        counts: calibration, (batch, time, *features).
        method: the quantizer.
        options: options of the family.
    """
    family, quantized = deployment.family, deployment.quantized
    parts = _divided(counts)
    if parts is None or not all(isinstance(quantized[name], Neuron) for name in quantized.outputs):
        return
    left = np.arange(len(parts)) % 4 == 3
    used = _bounded(floats, parts[~left])
    integers, _ = family.quantize(floats, used, method)
    on_chip, findings = family.lower(integers, options).place(options)
    if any(map(is_error, findings)):
        return
    reference = partial(_spikes_as_trained, deployment, parts[left])
    wanted = once(reference, "spikes as trained", deployment.graph, parts[left])
    got = _spikes_on_chip(family, on_chip, parts[left])
    agreement = agreement_of(*aligned(wanted, got, deployment.lag_of_neurons))
    low = agreement.interval is not None and agreement.value < LEAST_AGREEMENT
    ceiling = ceiling_on(deployment, parts[left])
    reachable = "" if ceiling is None else f", {ceiling.text}"
    what = "samples" if len(parts) == len(counts) else "parts"
    others = f"on {count(int(left.sum()))} others"
    result = (
        f"agree to {agreement} {others}{reachable}"
        if agreement.interval is not None
        else f"have too few spikes {others} to tell the agreement ({count(agreement.spikes)})"
    )
    yield Diagnostic(
        rule="held_out",
        severity=Severity.WARNING if low else Severity.INFO,
        where="network",
        message=f"integers found on {count(len(used))} of {count(len(parts))} calibration {what} "
        + result,
    )


def _spikes_as_trained(deployment: Deployment, spikes: Array) -> Array:
    return deployment.reference(spikes).spikes


def _spikes_on_chip(family: Family, on_chip: OnChip, spikes: Array) -> Array:
    """Return the output spikes, the same for chips of equal programs."""

    def run() -> Array:
        return on_chip.simulate(spikes, timing=family.TIMINGS[0]).spikes

    program = on_chip.unplaced()
    return run() if program is None else once(run, "spikes on chip", family.NAME, program, spikes)


def _divided(counts: Array) -> Array | None:
    """Return at least ``FEWEST`` samples, divided in time where there are fewer; None if short."""
    samples, steps = counts.shape[:2]
    number = -(-FEWEST // samples)
    if number == 1:
        return counts
    length = steps // number
    if length < SHORTEST:
        return None
    whole = counts[:, : number * length]
    return whole.reshape(samples * number, length, *counts.shape[2:])


def _bounded(graph: Graph, parts: Array) -> Array:
    """Return as many of the samples as ``WORK`` allows, spread over all of them; at least 3."""
    most = max(3, WORK // max(1, neurons_of(graph) * parts.shape[1]))
    if len(parts) <= most:
        return parts
    return np.asarray(parts[np.linspace(0, len(parts) - 1, most).astype(int)])

"""What a Speck chip refuses, or does differently: one small question a function.

A rule reads its limit from the chip specification, yields what it finds and changes nothing.
``where`` is the user's name of the convolution for what concerns weights, of the neuron layer for
what concerns neurons.

Source of the list: sinabs documentation, "Speck: available network architectures" and "chip
errata"; Speck Dev Kit manual. Each finding cites its own limit.
"""

from __future__ import annotations

from collections.abc import Iterable

from toolchain.chips.rules.findings import Rule
from toolchain.chips.rules.hints import advised
from toolchain.chips.rules.trial import Trial
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules import cores, readout, sensor, shapes, values
from toolchain.chips.speck.rules.hints import advise
from toolchain.diagnostics import Diagnostic
from toolchain.hardware import SpeckChip

__all__ = ["ALL", "RULES", "check", "with_hints"]

RULES: tuple[Rule[SpeckProgram, SpeckChip], ...] = (
    sensor.sensor,
    sensor.sensor_destinations,
    sensor.input_pooling,
    sensor.event_filter,
    cores.kernel_memory,
    cores.neuron_memory,
    cores.bias_memory,
    shapes.kernel_size,
    shapes.square_kernel,
    shapes.stride,
    shapes.padding,
    shapes.input_size,
    shapes.output_size,
    shapes.channels,
    shapes.pooling,
    shapes.pooling_divides,
    shapes.destinations,
    shapes.destination_shape,
    values.threshold_range,
    values.threshold_low,
    values.weight_range,
    values.bias_range,
    values.state_range,
    cores.core_count,
    values.readout_classes,
    readout.readout_block,
    readout.readout_size,
    readout.readout_destinations,
    values.single_spike,
    values.bias_leak,
    cores.assigned_core,
    cores.event_order,
)
"""In the order in which they report."""

ALL = (*RULES, cores.placement)
"""What a program has to pass after a remedy."""


def check(program: SpeckProgram, chip: SpeckChip) -> tuple[Diagnostic, ...]:
    """Return every finding about a program, in rule order.

    Whether the layers find cores is ``place``'s question.
    """
    trial = Trial(subject=program, chip=chip, rules=ALL)
    return advised(trial.findings(RULES), trial, advise)


def with_hints(
    findings: Iterable[Diagnostic], program: SpeckProgram, chip: SpeckChip
) -> tuple[Diagnostic, ...]:
    """Return what ``place`` found of a program, with hints that are tried when they are read."""
    return advised(findings, Trial(subject=program, chip=chip, rules=ALL), advise)

"""What a Speck chip refuses, or does differently: one small question a function.

A rule reads its limit from the chip specification, yields what it finds and changes nothing.
``where`` is the user's name of the convolution for what concerns weights, of the neuron layer for
what concerns neurons.

Source of the list: sinabs documentation, "Speck: available network architectures" and "chip
errata"; Speck Dev Kit manual. Each finding cites its own limit.
"""

from __future__ import annotations

from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules import cores, readout, sensor, shapes, values
from toolchain.chips.speck.rules.finding import Rule
from toolchain.chips.speck.rules.hints import advised
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic

__all__ = ["RULES", "check"]

RULES: tuple[Rule, ...] = (
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


def check(program: SpeckProgram, chip: SpeckChip) -> tuple[Diagnostic, ...]:
    """Every finding of every rule, with the hints that were tried.

    Whether the layers find cores is ``place``'s question.
    """
    found = tuple(finding for rule in RULES for finding in rule(program, chip))
    return advised(found, program, chip, RULES)

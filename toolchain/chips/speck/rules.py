"""What a Speck chip refuses, or does differently: one small question a function.

A rule reads its limit from the chip specification, yields what it finds and changes nothing.
``where`` is the user's name of the convolution for what concerns weights, of the neuron layer for
what concerns neurons.

Source of the list: sinabs documentation, "Speck: available network architectures" and "chip
errata"; Speck Dev Kit manual. Each finding cites its own limit.
"""

from __future__ import annotations

from toolchain.chips.speck import (
    rules_cores,
    rules_readout,
    rules_sensor,
    rules_shapes,
    rules_values,
)
from toolchain.chips.speck.finding import Rule
from toolchain.chips.speck.hints import advised
from toolchain.chips.speck.program import SpeckProgram
from toolchain.diagnostics import Diagnostic
from toolchain.hardware import SpeckChip

__all__ = ["RULES", "check"]

RULES: tuple[Rule, ...] = (
    rules_sensor.sensor,
    rules_sensor.sensor_destinations,
    rules_sensor.input_pooling,
    rules_sensor.event_filter,
    rules_cores.kernel_memory,
    rules_cores.neuron_memory,
    rules_cores.bias_memory,
    rules_shapes.kernel_size,
    rules_shapes.square_kernel,
    rules_shapes.stride,
    rules_shapes.padding,
    rules_shapes.input_size,
    rules_shapes.output_size,
    rules_shapes.channels,
    rules_shapes.pooling,
    rules_shapes.pooling_divides,
    rules_shapes.destinations,
    rules_shapes.destination_shape,
    rules_values.threshold_range,
    rules_values.threshold_low,
    rules_values.weight_range,
    rules_values.bias_range,
    rules_values.state_range,
    rules_cores.core_count,
    rules_values.readout_classes,
    rules_readout.readout_block,
    rules_readout.readout_size,
    rules_readout.readout_destinations,
    rules_values.single_spike,
    rules_values.bias_leak,
    rules_cores.assigned_core,
    rules_cores.event_order,
)
"""In the order in which they report."""


def check(program: SpeckProgram, chip: SpeckChip) -> tuple[Diagnostic, ...]:
    """Every finding of every rule, with the hints that were tried.

    Whether the layers find cores is ``place``'s question.
    """
    found = tuple(finding for rule in RULES for finding in rule(program, chip))
    return advised(found, program, chip, RULES)

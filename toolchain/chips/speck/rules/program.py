"""Every rule on a program: limits of a Speck chip, and differences from the simulation.

A rule reads its limit from the chip specification and yields findings; it changes nothing.
``where`` is the user's name of the convolution in findings about weights, and of the neuron layer
in findings about neurons.

Source of the list: sinabs documentation, "Speck: available network architectures" and "chip
errata"; Speck Dev Kit manual. Each finding cites its own limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from toolchain.chips.rules.findings import Rule
from toolchain.chips.rules.hints import check_rules, with_advice
from toolchain.chips.rules.trial import Trial, fits
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules.cores import (
    ASSIGNED,
    MEMORIES,
    core_count,
    kernel_memory,
    neuron_memory,
    placement,
)
from toolchain.chips.speck.rules.hints import advise
from toolchain.chips.speck.rules.readout import READOUT
from toolchain.chips.speck.rules.sensor import SENSOR
from toolchain.chips.speck.rules.shapes import SHAPES
from toolchain.chips.speck.rules.values import BEHAVIOUR, RANGES, readout_classes
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic

__all__ = ["ALL", "RULES", "SIZES", "check", "takes", "with_hints"]

RULES: tuple[Rule[SpeckProgram, SpeckChip], ...] = (
    *SENSOR,
    *MEMORIES,
    *SHAPES,
    *RANGES,
    core_count,
    readout_classes,
    *READOUT,
    *BEHAVIOUR,
    *ASSIGNED,
)
"""The rules, in the order of their findings."""

SIZES = (*SENSOR, kernel_memory, neuron_memory, *SHAPES, core_count, *READOUT)
"""Rules that read no integer of a weight, bias, threshold or membrane, but shapes and settings."""

ALL = (*RULES, placement)
"""Rules that a program has to pass after a remedy."""


check = partial(check_rules, rules=RULES, advise=advise, after=(placement,))
"""Function that returns every finding about a program, except about its placement (``place``)."""

takes = partial(fits, rules=ALL)
"""Function that returns whether a program passes all these rules, and can be placed."""


def with_hints(
    findings: Iterable[Diagnostic], program: SpeckProgram, chip: SpeckChip
) -> tuple[Diagnostic, ...]:
    """Return the findings of ``place``, with hints that are tried when they are read."""
    return with_advice(findings, Trial(subject=program, chip=chip, rules=ALL), advise)

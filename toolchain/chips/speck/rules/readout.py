"""Rules about the readout block; a program without one has no findings."""

from __future__ import annotations

from toolchain.chips.rules.findings import Findings, Rule, error
from toolchain.chips.speck.outputs import readout_table
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.spec import SpeckChip
from toolchain.report import count

__all__ = ["READOUT"]


def readout_block(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Check that the chip has a readout block that can be used."""
    if program.readout is not None and not chip.readout:
        message = f"is sent to the readout block, {chip.name} has none that works"
        yield error("readout_block", program.readout.layer, message)


def readout_size(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Check that the readout distinguishes as many classes as there are."""
    limit = chip.limits.readout_classes
    if program.readout is None or limit is None:
        return
    number = sum(neuron.readout_class is not None for neuron in readout_table(program))
    if number > limit.value:
        message = f"{count(number)} classes, the readout of {chip.name} distinguishes {limit.value}"
        yield error("readout_size", program.readout.layer, message, number, limit, chip)


def readout_destinations(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Check that a core has a destination left for the readout."""
    limit = chip.limits.destinations
    if program.readout is None:
        return
    number = len(program[program.readout.layer].destinations)
    if number + 1 > limit.value:
        message = (
            f"sends to {number} layers and to the readout, a core of {chip.name} to at most "
            f"{limit.value}"
        )
        yield error("readout_destinations", program.readout.layer, message, number + 1, limit, chip)


READOUT: tuple[Rule[SpeckProgram, SpeckChip], ...] = (
    readout_block,
    readout_size,
    readout_destinations,
)

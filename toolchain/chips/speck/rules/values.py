"""Rules about numbers on the chip, and about what they do there and not in the simulation."""

from __future__ import annotations

from collections.abc import Iterator

from toolchain.chips.rules.findings import error, info, warning
from toolchain.chips.speck.program import SpeckProgram
from toolchain.diagnostics import Diagnostic, count
from toolchain.hardware import Quantity, SpeckChip

__all__ = [
    "bias_leak",
    "bias_range",
    "readout_classes",
    "single_spike",
    "state_range",
    "threshold_low",
    "threshold_range",
    "weight_range",
]


def threshold_range(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Thresholds beyond their registers."""
    limit = chip.limits.threshold_width
    lowest, highest = _signed(limit)
    for core in program.cores:
        for value, name in ((core.threshold_high, "high"), (core.threshold_low, "low")):
            if not lowest <= value <= highest:
                message = (
                    f"threshold_{name} {count(value)}, {chip.name} holds {count(lowest)} to "
                    f"{count(highest)}"
                )
                yield error("threshold_range", core.name, message, value, limit, chip)


def threshold_low(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A floor of the membrane that does not work on silicon."""
    limit = chip.limits.threshold_low_max
    for core in program.cores:
        if core.threshold_low > limit.value:
            yield error(
                "threshold_low",
                core.name,
                f"threshold_low {core.threshold_low}, on {chip.name} it works up to {limit.value}",
                core.threshold_low,
                limit,
                chip,
            )


def weight_range(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Weights beyond the width of the kernel memory."""
    yield from _array_range("weight", chip.limits.weight_width, program, chip)


def bias_range(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Biases beyond the width of the bias memory."""
    yield from _array_range("bias", chip.limits.bias_width, program, chip)


def state_range(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Membranes to start from beyond the width of the neuron memory."""
    yield from _array_range("initial", chip.limits.state_width, program, chip)


def readout_classes(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """More outputs than the readout block distinguishes; monitored spikes have no such limit."""
    limit = chip.limits.readout_classes
    read = None if program.readout is None else program.readout.layer
    for name in program.outputs:
        if name == read:
            continue
        number = program[name].output_shape[0]
        if limit is not None and number > limit.value:
            message = (
                f"{count(number)} output channels, the readout of {chip.name} tells "
                f"{limit.value} classes apart: read the spikes instead"
            )
            yield info("readout_classes", name, message, number, limit, chip)


def single_spike(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A weight that is worth several spikes; silicon gives one for each incoming event."""
    for core in program.cores:
        weight = int(core.weight.max())
        if weight >= 2 * core.threshold_high:
            message = (
                f"largest weight {weight}, threshold of {core.name} {core.threshold_high}: one "
                f"event is worth {weight // core.threshold_high} spikes in the simulation, "
                f"{chip.name} fires once"
            )
            yield warning(
                "single_spike",
                core.weight_name,
                message,
                weight,
                chip.limits.threshold_width,
                chip,
                limit=2 * core.threshold_high - 1,
            )


def bias_leak(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A bias is the chip's leak, which the slow clock adds."""
    period = "the time step"
    if program.dt is not None:
        period = f"{program.dt * 1e3:g} ms ({1 / program.dt:g} Hz)"
    for core in program.cores:
        if core.bias is not None and core.bias.any():
            message = (
                f"biases of {core.bias.min()} to {core.bias.max()} are added by the slow clock of "
                f"{chip.name}: its period must be {period}"
            )
            yield info("bias_leak", core.weight_name, message, None, chip.limits.bias_width, chip)


def _array_range(
    part: str, width: Quantity, program: SpeckProgram, chip: SpeckChip
) -> Iterator[Diagnostic]:
    lowest, highest = _signed(width)
    for core in program.cores:
        values = getattr(core, part)
        if values is None or (values.min() >= lowest and values.max() <= highest):
            continue
        what = "initial membranes" if part == "initial" else part
        message = (
            f"{what} of {count(int(values.min()))} to {count(int(values.max()))}, {chip.name} "
            f"holds {count(lowest)} to {count(highest)}"
        )
        need = max(int(values.max()), -int(values.min()) - 1).bit_length() + 1
        rule = "state_range" if part == "initial" else f"{part}_range"
        where = core.name if part == "initial" else core.weight_name
        yield error(rule, where, message, need, width, chip)


def _signed(width: Quantity) -> tuple[int, int]:
    """Smallest and largest signed integer of that many bits."""
    half = 1 << (int(width.value) - 1)
    return -half, half - 1

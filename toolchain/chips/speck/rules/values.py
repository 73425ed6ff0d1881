"""Rules about the numbers of a program, and about their effect on the chip."""

from __future__ import annotations

from toolchain.arrays import Array
from toolchain.chips.rules.each import each
from toolchain.chips.rules.findings import Findings, Rule
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules.at import AtCore, cores, outputs, weights
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Severity
from toolchain.hardware import Quantity
from toolchain.report import count

__all__ = ["BEHAVIOUR", "RANGES", "readout_classes"]


@each(cores)
def threshold_range(at: AtCore) -> Findings:
    """Check that thresholds fit their registers."""
    limit = at.chip.limits.threshold_width
    lowest, highest = _signed(limit)
    for value, name in ((at.item.threshold_high, "high"), (at.item.threshold_low, "low")):
        if not lowest <= value <= highest:
            message = f"threshold_{name} {count(value)}, {_holds(at.chip, limit)}"
            yield at.finding(message, value, limit)


@each(cores)
def threshold_low(at: AtCore) -> Findings:
    """Check that the floor of the membrane is one that works on the chip."""
    limit, low = at.chip.limits.threshold_low_max, at.item.threshold_low
    if low > limit.value:
        message = f"threshold_low {low}, on {at.chip.name} it works up to {limit.value}"
        yield at.finding(message, low, limit)


@each(weights)
def weight_range(at: AtCore) -> Findings:
    """Check that weights fit the width of the kernel memory."""
    yield from _range(at, "weight", at.item.weight, at.chip.limits.weight_width)


@each(weights)
def bias_range(at: AtCore) -> Findings:
    """Check that biases fit the width of the bias memory."""
    yield from _range(at, "bias", at.item.bias, at.chip.limits.bias_width)


@each(cores)
def state_range(at: AtCore) -> Findings:
    """Check that initial membranes fit the width of the neuron memory."""
    yield from _range(at, "initial membranes", at.item.initial, at.chip.limits.state_width)


@each(outputs)
def readout_classes(at: AtCore) -> Findings:
    """Report more outputs than readout classes; monitored spikes have no such limit."""
    limit, readout = at.chip.limits.readout_classes, at.subject.readout
    number = at.item.output_shape[0]
    read = readout is not None and readout.layer == at.name
    if limit is not None and number > limit.value and not read:
        message = (
            f"{count(number)} output channels, the readout of {at.chip.name} has "
            f"{limit.value} classes: read the spikes instead"
        )
        yield at.finding(message, number, limit, severity=Severity.INFO)


@each(weights)
def single_spike(at: AtCore) -> Findings:
    """Report weights of two thresholds or more: the chip fires once for each event."""
    core, weight = at.item, int(at.item.weight.max())
    most = 2 * core.threshold_high - 1
    if weight > most:
        message = (
            f"largest weight {weight}, threshold of {core.name} {core.threshold_high}: one "
            f"event causes {weight // core.threshold_high} spikes in the simulation, "
            f"one on {at.chip.name}"
        )
        width = at.chip.limits.threshold_width
        yield at.finding(message, weight, width, limit=most, severity=Severity.WARNING)


@each(weights)
def bias_leak(at: AtCore) -> Findings:
    """Report biases, which are the chip's leak and added by the slow clock."""
    bias, dt = at.item.bias, at.subject.dt
    if bias is not None and bias.any():
        period = "the time step" if dt is None else f"{dt * 1e3:g} ms ({1 / dt:g} Hz)"
        message = (
            f"biases of {bias.min()} to {bias.max()} are added by the slow clock of "
            f"{at.chip.name}: its period must be {period}"
        )
        width = at.chip.limits.bias_width
        yield at.finding(message, None, width, severity=Severity.INFO)


def _range(at: AtCore, what: str, values: Array | None, width: Quantity) -> Findings:
    lowest, highest = _signed(width)
    if values is None or (values.min() >= lowest and values.max() <= highest):
        return
    low, high = int(values.min()), int(values.max())
    message = f"{what} of {count(low)} to {count(high)}, {_holds(at.chip, width)}"
    yield at.finding(message, max(high, -low - 1).bit_length() + 1, width)


def _holds(chip: SpeckChip, width: Quantity) -> str:
    lowest, highest = _signed(width)
    return f"{chip.name} stores {count(lowest)} to {count(highest)}"


def _signed(width: Quantity) -> tuple[int, int]:
    """Return the smallest and largest signed integer of that many bits."""
    half = 1 << (int(width.value) - 1)
    return -half, half - 1


RANGES: tuple[Rule[SpeckProgram, SpeckChip], ...] = (
    threshold_range,
    threshold_low,
    weight_range,
    bias_range,
    state_range,
)
BEHAVIOUR: tuple[Rule[SpeckProgram, SpeckChip], ...] = (single_spike, bias_leak)

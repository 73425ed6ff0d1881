"""Rules about the camera: what it can be set to, and what of it is not simulated."""

from __future__ import annotations

from collections.abc import Iterator

from toolchain.chips.speck.faults import by
from toolchain.chips.speck.lower.place import text_of_ids
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules.finding import find
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.report import count

__all__ = ["beyond_limits", "event_filter", "input_pooling", "sensor", "sensor_destinations"]


def sensor(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A camera that the chip does not have, or cannot set up like this."""
    if program.sensor is not None:
        yield from beyond_limits(program.sensor, program.input_shape, chip)


def beyond_limits(
    sensor: SpeckSensor, shape: tuple[int, int, int], chip: SpeckChip
) -> Iterator[Diagnostic]:
    """What ``sensor`` asks of ``chip`` in vain, for events of ``shape`` (channels, y, x)."""
    limits = chip.sensor
    if limits is None:
        yield Diagnostic(
            rule="sensor", severity=Severity.ERROR, where=sensor.name,
            message=f"{chip.name} has no event sensor that is known of",
        )  # fmt: skip
        return
    channels, *sides = shape
    if max(sides) > limits.size.value:
        message = f"map of {by(sides)} pixels, {chip.name} has {by([int(limits.size.value)] * 2)}"
        yield find(chip, "sensor", sensor.name, message, max(sides), limits.size)
    if channels > limits.polarities.value:
        message = f"{count(channels)} input channels, {chip.name} has {limits.polarities.value}"
        yield find(chip, "sensor", sensor.name, message, channels, limits.polarities)
    elif channels < limits.polarities.value and sensor.pixel_array and not sensor.merge:
        message = (
            f"{channels} input channel, but the pixels of {chip.name} send "
            f"{limits.polarities.value} polarities"
        )
        yield find(chip, "sensor", sensor.name, message, None, limits.polarities,
                    hint="merge_polarities=True makes them one channel")  # fmt: skip
    if not set(sensor.pooling) <= set(limits.pooling.values):
        message = (
            f"pooling {by(sensor.pooling)}, each axis of {chip.name} takes "
            f"{text_of_ids(limits.pooling.values, 'or')}"
        )
        yield find(chip, "sensor", sensor.name, message, max(sensor.pooling), limits.pooling)


def sensor_destinations(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """The camera sends its events to too many cores, or to other channels than its own."""
    if program.sensor is None or chip.sensor is None:
        return
    limit, number = chip.sensor.destinations, len(program.inputs)
    if number > limit.value:
        message = f"sends to {number} layers, the sensor of {chip.name} to at most {limit.value}"
        yield find(chip, "sensor_destinations", program.sensor.name, message, number, limit)
    for target in program.inputs:
        if target.feature_shift:
            message = (
                f"sends to channels from {target.feature_shift} on of {target.layer}, the sensor "
                f"of {chip.name} to those from 0 on"
            )
            yield find(chip, "sensor_destinations", program.sensor.name, message,
                        target.feature_shift, limit, bound=0)  # fmt: skip


def input_pooling(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Pooling on the way from the input to a core, for which there is no setting."""
    for target in program.inputs:
        if target.pooling != 1:
            message = (
                f"sum pooling of {target.pooling} to {target.layer}; {chip.name} pools between "
                "cores and in its sensor, but not what is sent to a core from outside"
            )
            yield find(chip, "input_pooling", program.input_name, message, target.pooling,
                        chip.limits.pooling, bound=1)  # fmt: skip


def event_filter(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A filter that cannot be set up like this, or that drops events which the simulation keeps."""
    if program.sensor is None or program.sensor.filter is None or chip.sensor is None:
        return
    settings, limits, name = program.sensor.filter, chip.sensor, program.sensor.name
    if max(settings.filter_size) > limits.filter_size.value:
        message = (
            f"filter window {by(settings.filter_size)}, {chip.name} takes at most "
            f"{by([int(limits.filter_size.value)] * 2)}"
        )
        yield find(chip, "event_filter", name, message, max(settings.filter_size),
                    limits.filter_size)  # fmt: skip
    most = 2 ** int(limits.filter_time_width.value) - 1
    if settings.threshold > most:
        message = (
            f"filter threshold of {count(settings.threshold)} ticks, {chip.name} counts to "
            f"{count(most)}"
        )
        yield find(chip, "event_filter", name, message, settings.threshold,
                    limits.filter_time_width, bound=most)  # fmt: skip
    if settings.enable:
        message = f"the event filter drops events on {chip.name}, and none in the simulation"
        yield find(chip, "event_filter", name, message, None, limits.filter_size,
                    severity=Severity.WARNING)  # fmt: skip

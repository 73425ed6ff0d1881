"""Rules about the camera: what it can be set to, and what of it is not simulated."""

from __future__ import annotations

from toolchain.chips.rules.findings import Findings, error, warning
from toolchain.chips.speck.faults import by
from toolchain.chips.speck.lower.place import text_of_ids
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.diagnostics import count
from toolchain.hardware import SpeckChip

__all__ = ["beyond_limits", "event_filter", "input_pooling", "sensor", "sensor_destinations"]


def sensor(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """A camera that the chip does not have, or cannot set up like this."""
    if program.sensor is not None:
        yield from beyond_limits(program.sensor, program.input_shape, chip)


def beyond_limits(sensor: SpeckSensor, shape: tuple[int, int, int], chip: SpeckChip) -> Findings:
    """What ``sensor`` asks of ``chip`` in vain, for events of ``shape`` (channels, y, x)."""
    limits = chip.sensor
    if limits is None:
        yield error("sensor", sensor.name, f"{chip.name} has no event sensor that is known of")
        return
    channels, *sides = shape
    if max(sides) > limits.size.value:
        message = f"map of {by(sides)} pixels, {chip.name} has {by([int(limits.size.value)] * 2)}"
        yield error("sensor", sensor.name, message, max(sides), limits.size, chip)
    if channels > limits.polarities.value:
        message = f"{count(channels)} input channels, {chip.name} has {limits.polarities.value}"
        yield error("sensor", sensor.name, message, channels, limits.polarities, chip)
    elif channels < limits.polarities.value and sensor.pixel_array and not sensor.merge:
        message = (
            f"{channels} input channel, but the pixels of {chip.name} send "
            f"{limits.polarities.value} polarities"
        )
        yield error(
            "sensor",
            sensor.name,
            message,
            None,
            limits.polarities,
            chip,
            hint="merge_polarities=True makes them one channel",
        )
    if not set(sensor.pooling) <= set(limits.pooling.values):
        message = (
            f"pooling {by(sensor.pooling)}, each axis of {chip.name} takes "
            f"{text_of_ids(limits.pooling.values, 'or')}"
        )
        yield error("sensor", sensor.name, message, max(sensor.pooling), limits.pooling, chip)


def sensor_destinations(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """The camera sends its events to too many cores, or to other channels than its own."""
    if program.sensor is None or chip.sensor is None:
        return
    limit, number = chip.sensor.destinations, len(program.inputs)
    if number > limit.value:
        message = f"sends to {number} layers, the sensor of {chip.name} to at most {limit.value}"
        yield error("sensor_destinations", program.sensor.name, message, number, limit, chip)
    for target in program.inputs:
        if target.feature_shift:
            message = (
                f"sends to channels from {target.feature_shift} on of {target.layer}, the sensor "
                f"of {chip.name} to those from 0 on"
            )
            yield error(
                "sensor_destinations",
                program.sensor.name,
                message,
                target.feature_shift,
                limit,
                chip,
                limit=0,
            )


def input_pooling(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Pooling on the way from the input to a core, for which there is no setting."""
    for target in program.inputs:
        if target.pooling != 1:
            message = (
                f"sum pooling of {target.pooling} to {target.layer}; {chip.name} pools between "
                "cores and in its sensor, but not what is sent to a core from outside"
            )
            yield error(
                "input_pooling",
                program.input_name,
                message,
                target.pooling,
                chip.limits.pooling,
                chip,
                limit=1,
            )


def event_filter(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """A filter that cannot be set up like this, or that drops events which the simulation keeps."""
    if program.sensor is None or program.sensor.filter is None or chip.sensor is None:
        return
    settings, limits, name = program.sensor.filter, chip.sensor, program.sensor.name
    if max(settings.filter_size) > limits.filter_size.value:
        message = (
            f"filter window {by(settings.filter_size)}, {chip.name} takes at most "
            f"{by([int(limits.filter_size.value)] * 2)}"
        )
        yield error(
            "event_filter", name, message, max(settings.filter_size), limits.filter_size, chip
        )
    most = 2 ** int(limits.filter_time_width.value) - 1
    if settings.threshold > most:
        message = (
            f"filter threshold of {count(settings.threshold)} ticks, {chip.name} counts to "
            f"{count(most)}"
        )
        yield error(
            "event_filter",
            name,
            message,
            settings.threshold,
            limits.filter_time_width,
            chip,
            limit=most,
        )
    if settings.enable:
        message = f"the event filter drops events on {chip.name}, and none in the simulation"
        yield warning("event_filter", name, message, None, limits.filter_size, chip)

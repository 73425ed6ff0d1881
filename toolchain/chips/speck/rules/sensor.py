"""Rules about the camera: its limits, and what of it is not simulated."""

from __future__ import annotations

from functools import partial

from toolchain.chips.rules.each import At, each
from toolchain.chips.rules.findings import Findings, Rule, error, warning
from toolchain.chips.speck.faults import shape_text
from toolchain.chips.speck.lower.place import text_of_ids
from toolchain.chips.speck.program import Destination, SpeckProgram
from toolchain.chips.speck.rules.at import entries
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.spec import SpeckChip
from toolchain.report import count

__all__ = ["SENSOR", "beyond_limits"]


def sensor(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Check that the chip has a camera with these settings."""
    if program.sensor is not None:
        yield from beyond_limits(program.sensor, program.input_shape, chip)


def beyond_limits(sensor: SpeckSensor, shape: tuple[int, int, int], chip: SpeckChip) -> Findings:
    """Yield the settings of ``sensor`` that ``chip`` lacks, for events (channels, y, x)."""
    limits, find = chip.sensor, partial(error, "sensor", sensor.name)
    if limits is None:
        yield find(f"{chip.name} has no documented event sensor")
        return
    channels, *sides = shape
    if max(sides) > limits.size.value:
        square = shape_text([int(limits.size.value)] * 2)
        message = f"map of {shape_text(sides)} pixels, {chip.name} has {square}"
        yield find(message, max(sides), limits.size, chip)
    polarities = limits.polarities
    if channels > polarities.value:
        message = f"{count(channels)} input channels, {chip.name} has {polarities.value}"
        yield find(message, channels, polarities, chip)
    elif channels < polarities.value and sensor.pixel_array and not sensor.merge:
        message = (
            f"{channels} input channel, but the pixels of {chip.name} send {polarities.value} "
            "polarities"
        )
        merging = "merge_polarities=True makes them one channel"
        yield find(message, None, polarities, chip, hint=merging)
    if not set(sensor.pooling) <= set(limits.pooling.values):
        allowed = text_of_ids(limits.pooling.values, "or")
        message = (
            f"pooling {shape_text(sensor.pooling)}, each axis of {chip.name} supports {allowed}"
        )
        yield find(message, max(sensor.pooling), limits.pooling, chip)


def sensor_destinations(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Check that the camera sends to few enough cores, and to its own channels."""
    if program.sensor is None or chip.sensor is None:
        return
    find = partial(error, "sensor_destinations", program.sensor.name)
    limit, number = chip.sensor.destinations, len(program.inputs)
    if number > limit.value:
        message = f"sends to {number} layers, the sensor of {chip.name} to at most {limit.value}"
        yield find(message, number, limit, chip)
    for target in program.inputs:
        if shift := target.feature_shift:
            message = (
                f"sends to channels of {target.layer} from {shift} on, the sensor of {chip.name} "
                "only from 0 on"
            )
            yield find(message, shift, limit, chip, limit=0)


@each(entries)
def input_pooling(at: At[SpeckProgram, SpeckChip, Destination]) -> Findings:
    """Check that connections of the input have no pooling, for which there is no setting."""
    pooling = at.item.pooling
    if pooling != 1:
        message = (
            f"sum pooling of {pooling} to {at.item.layer}; {at.chip.name} pools between cores and "
            "in its sensor, but not events that are sent to a core from outside"
        )
        yield at.finding(message, pooling, at.chip.limits.pooling, limit=1)


def event_filter(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Check the filter's settings, and report one that drops events the simulation keeps."""
    if program.sensor is None or program.sensor.filter is None or chip.sensor is None:
        return
    settings, limits, name = program.sensor.filter, chip.sensor, program.sensor.name
    find = partial(error, "event_filter", name)
    size, side = limits.filter_size, max(settings.filter_size)
    if side > size.value:
        square = shape_text([int(size.value)] * 2)
        window = shape_text(settings.filter_size)
        message = f"filter window {window}, {chip.name} supports at most {square}"
        yield find(message, side, size, chip)
    width, threshold = limits.filter_time_width, settings.threshold
    most = 2 ** int(width.value) - 1
    if threshold > most:
        message = f"filter threshold of {count(threshold)} ticks, {chip.name} counts to "
        yield find(message + count(most), threshold, width, chip, limit=most)
    if settings.enable:
        message = f"the event filter drops events on {chip.name}, but none in the simulation"
        yield warning("event_filter", name, message, None, size, chip)


SENSOR: tuple[Rule[SpeckProgram, SpeckChip], ...] = (
    sensor,
    sensor_destinations,
    input_pooling,
    event_filter,
)

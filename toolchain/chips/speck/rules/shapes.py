"""Rules about the geometry of layers and of the connections between them."""

from __future__ import annotations

from collections.abc import Iterator

from toolchain.chips.rules.findings import error, warning
from toolchain.chips.speck.faults import by
from toolchain.chips.speck.lower.place import text_of_ids
from toolchain.chips.speck.program import Destination, SpeckProgram
from toolchain.diagnostics import Diagnostic, count
from toolchain.hardware import Choice, Quantity, SpeckChip

__all__ = [
    "channels",
    "destination_shape",
    "destinations",
    "input_size",
    "kernel_size",
    "output_size",
    "padding",
    "pooling",
    "pooling_divides",
    "square_kernel",
    "stride",
]


def kernel_size(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """The kernel is too large on one side."""
    limit = chip.limits.kernel_size
    for core in program.cores:
        sides = core.weight.shape[2:]
        if max(sides) > limit.value:
            most = f"{chip.name} takes at most {by([int(limit.value)] * 2)}"
            yield error(
                "kernel_size",
                core.weight_name,
                f"kernel {by(sides)}, {most}",
                max(sides),
                limit,
                chip,
            )


def square_kernel(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A core has one number for both sides of the kernel."""
    for core in program.cores:
        height, width = core.weight.shape[2:]
        if height != width:
            message = f"kernel {height}x{width}, {chip.name} takes square kernels only"
            yield error(
                "square_kernel", core.weight_name, message, None, chip.limits.kernel_size, chip
            )


def stride(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A stride that a core cannot be set to."""
    allowed = chip.limits.strides
    for core in program.cores:
        if not set(core.stride) <= set(allowed.values):
            message = f"stride {by(core.stride)}, each axis of {chip.name} takes {_any_of(allowed)}"
            yield error("stride", core.weight_name, message, max(core.stride), allowed, chip)


def padding(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """More zeros around the map than a core can be set to."""
    limit = chip.limits.padding
    for core in program.cores:
        if max(core.padding) > limit.value:
            message = (
                f"padding {by(core.padding)}, each axis of {chip.name} takes at most {limit.value}"
            )
            yield error("padding", core.weight_name, message, max(core.padding), limit, chip)


def input_size(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """The map that a core is sent is too large."""
    limit = chip.limits.input_size
    for core in program.cores:
        sides = core.input_shape[1:]
        if max(sides) > limit.value:
            message = f"input map of {by(sides)}, {chip.name} takes at most {_square(limit)}"
            yield error("input_size", core.weight_name, message, max(sides), limit, chip)


def output_size(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """The map of neurons, before pooling, is too large."""
    limit = chip.limits.output_size
    for core in program.cores:
        sides = core.output_shape[1:]
        if max(sides) > limit.value:
            message = f"map of {by(sides)} neurons, {chip.name} has at most {_square(limit)}"
            yield error("output_size", core.name, message, max(sides), limit, chip)


def channels(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Too many channels, in or out."""
    limit = chip.limits.channels
    for core in program.cores:
        for number, kind in zip(core.weight.shape[:2], ("output", "input"), strict=True):
            if number > limit.value:
                message = (
                    f"{count(number)} {kind} channels, {chip.name} takes at most "
                    f"{count(limit.value)}"
                )
                yield error("channels", core.weight_name, message, number, limit, chip)


def pooling(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Pooling that a destination cannot be set to."""
    allowed = chip.limits.pooling
    for source, target, _ in _connections(program):
        if target.pooling not in allowed.values:
            message = (
                f"sum pooling of {target.pooling} to {target.layer}, "
                f"{chip.name} takes {_any_of(allowed)}"
            )
            yield error("pooling", source, message, target.pooling, allowed, chip)


def pooling_divides(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Pooling drops rows here; the chip divides their addresses and sends them on."""
    for source, target, shape in _connections(program):
        lost = [side % target.pooling for side in shape[1:]]
        if any(lost):
            message = (
                f"a map of {by(shape[1:])} is no multiple of its pooling {target.pooling} to "
                f"{target.layer}: the simulation drops {lost[0]} rows and {lost[1]} columns, "
                f"{chip.name} may send them on outside the map"
            )
            yield warning("pooling_divides", source, message, max(lost), chip.limits.pooling, chip)


def destinations(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A core sends its spikes to too many others."""
    limit = chip.limits.destinations
    for core in program.cores:
        number = len(core.destinations)
        if number > limit.value:
            message = f"sends to {number} layers, a core of {chip.name} to at most {limit.value}"
            yield error("destinations", core.name, message, number, limit, chip)


def destination_shape(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """What is sent is not of the shape that the destination takes."""
    for source, target, (sent, height, width) in _connections(program):
        pooled = (sent, height // target.pooling, width // target.pooling)
        wanted = program[target.layer].input_shape
        if not program.takes(target, (sent, height, width)):
            message = f"sends {by(pooled)} to {target.layer}, which takes {by(wanted)}"
            yield error("destination_shape", source, message, None, chip.limits.destinations, chip)


def _connections(
    program: SpeckProgram,
) -> Iterator[tuple[str, Destination, tuple[int, int, int]]]:
    """(who sends, to whom, a map of which shape before pooling)."""
    yield from ((program.input_name, target, program.input_map) for target in program.inputs)
    for core in program.cores:
        yield from ((core.name, target, core.output_shape) for target in core.destinations)


def _square(limit: Quantity) -> str:
    return by([int(limit.value)] * 2)


def _any_of(allowed: Choice) -> str:
    return text_of_ids(allowed.values, "or")

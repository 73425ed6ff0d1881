"""Rules about the geometry of layers and of their connections."""

from __future__ import annotations

from toolchain.chips.rules.each import each
from toolchain.chips.rules.findings import Findings, Rule
from toolchain.chips.speck.faults import shape_text
from toolchain.chips.speck.lower.place import text_of_ids
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules.at import AtConnection, AtCore, connections, cores, weights
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Severity
from toolchain.hardware import AllowedValues, Quantity
from toolchain.report import count

__all__ = ["SHAPES"]


@each(weights)
def kernel_size(at: AtCore) -> Findings:
    """Check that the kernel is small enough on each side."""
    limit, sides = at.chip.limits.kernel_size, at.item.weight.shape[2:]
    if max(sides) > limit.value:
        message = f"kernel {shape_text(sides)}, {at.chip.name} supports at most {_square(limit)}"
        yield at.finding(message, max(sides), limit)


@each(weights)
def square_kernel(at: AtCore) -> Findings:
    """Check that the kernel is square; a core has one number for both sides."""
    height, width = at.item.weight.shape[2:]
    if height != width:
        message = f"kernel {height}x{width}, {at.chip.name} supports square kernels only"
        yield at.finding(message, None, at.chip.limits.kernel_size)


@each(weights)
def stride(at: AtCore) -> Findings:
    """Check that the stride is supported."""
    allowed, own = at.chip.limits.strides, at.item.stride
    if not set(own) <= set(allowed.values):
        message = (
            f"stride {shape_text(own)}, each axis of {at.chip.name} supports {_any_of(allowed)}"
        )
        yield at.finding(message, max(own), allowed)


@each(weights)
def padding(at: AtCore) -> Findings:
    """Check that the padding is supported."""
    limit, own = at.chip.limits.padding, at.item.padding
    if max(own) > limit.value:
        message = (
            f"padding {shape_text(own)}, each axis of {at.chip.name} supports at most {limit.value}"
        )
        yield at.finding(message, max(own), limit)


@each(weights)
def input_size(at: AtCore) -> Findings:
    """Check that the input map is small enough."""
    limit, sides = at.chip.limits.input_size, at.item.input_shape[1:]
    if max(sides) > limit.value:
        message = (
            f"input map of {shape_text(sides)}, {at.chip.name} supports at most {_square(limit)}"
        )
        yield at.finding(message, max(sides), limit)


@each(cores)
def output_size(at: AtCore) -> Findings:
    """Check that the map of neurons, before pooling, is small enough."""
    limit, sides = at.chip.limits.output_size, at.item.output_shape[1:]
    if max(sides) > limit.value:
        message = f"map of {shape_text(sides)} neurons, {at.chip.name} has at most {_square(limit)}"
        yield at.finding(message, max(sides), limit)


@each(weights)
def channels(at: AtCore) -> Findings:
    """Check that there are few enough channels, in and out."""
    limit = at.chip.limits.channels
    for number, kind in zip(at.item.weight.shape[:2], ("output", "input"), strict=True):
        if number > limit.value:
            message = f"{count(number)} {kind} channels, {at.chip.name} supports at most "
            yield at.finding(message + count(limit.value), number, limit)


@each(connections)
def pooling(at: AtConnection) -> Findings:
    """Check that the pooling of a connection is supported."""
    allowed, target = at.chip.limits.pooling, at.item[0]
    if target.pooling not in allowed.values:
        message = f"sum pooling of {target.pooling} to {target.layer}, {at.chip.name} supports "
        yield at.finding(message + _any_of(allowed), target.pooling, allowed)


@each(connections)
def pooling_divides(at: AtConnection) -> Findings:
    """Check that the pooling divides the map; the chip may pass addresses outside it."""
    target, (_, *sides) = at.item
    lost = [side % target.pooling for side in sides]
    if any(lost):
        message = (
            f"a map of {shape_text(sides)} is not a multiple of its pooling {target.pooling} to "
            f"{target.layer}: the simulation drops {lost[0]} rows and {lost[1]} columns, "
            f"{at.chip.name} may send them on outside the map"
        )
        allowed = at.chip.limits.pooling
        yield at.finding(message, max(lost), allowed, severity=Severity.WARNING)


@each(cores)
def destinations(at: AtCore) -> Findings:
    """Check that a core has few enough destinations."""
    limit, number = at.chip.limits.destinations, len(at.item.destinations)
    if number > limit.value:
        message = f"sends to {number} layers, a core of {at.chip.name} to at most {limit.value}"
        yield at.finding(message, number, limit)


@each(connections)
def destination_shape(at: AtConnection) -> Findings:
    """Check that a map has the shape that its destination expects."""
    target, (sent, height, width) = at.item
    pooled = (sent, height // target.pooling, width // target.pooling)
    if not at.subject.takes(target, (sent, height, width)):
        wanted = at.subject[target.layer].input_shape
        message = f"sends {shape_text(pooled)} to {target.layer}, which takes {shape_text(wanted)}"
        yield at.finding(message, None, at.chip.limits.destinations)


def _square(limit: Quantity) -> str:
    return shape_text([int(limit.value)] * 2)


def _any_of(allowed: AllowedValues) -> str:
    return text_of_ids(allowed.values, "or")


SHAPES: tuple[Rule[SpeckProgram, SpeckChip], ...] = (
    kernel_size,
    square_kernel,
    stride,
    padding,
    input_size,
    output_size,
    channels,
    pooling,
    pooling_divides,
    destinations,
    destination_shape,
)

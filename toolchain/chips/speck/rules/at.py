"""The parts of a Speck program that rules apply to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from toolchain.chips.rules.each import At
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.spec import SpeckChip

__all__ = ["AtConnection", "AtCore", "connections", "cores", "entries", "outputs", "weights"]

Connection: TypeAlias = tuple[Destination, tuple[int, int, int]]
"""A destination, and the shape of the map that is sent to it, before pooling."""

AtCore: TypeAlias = At[SpeckProgram, SpeckChip, SpeckCore]
AtConnection: TypeAlias = At[SpeckProgram, SpeckChip, Connection]


def cores(program: SpeckProgram) -> Iterator[tuple[str, SpeckCore]]:
    """Yield every core under the name of its neurons."""
    yield from ((core.name, core) for core in program.cores)


def weights(program: SpeckProgram) -> Iterator[tuple[str, SpeckCore]]:
    """Yield every core under the name of its convolution."""
    yield from ((core.weight_name, core) for core in program.cores)


def outputs(program: SpeckProgram) -> Iterator[tuple[str, SpeckCore]]:
    """Yield the cores whose spikes are outputs."""
    yield from ((name, program[name]) for name in program.outputs)


def entries(program: SpeckProgram) -> Iterator[tuple[str, Destination]]:
    """Yield the destinations of the input, under the name of the input."""
    yield from ((program.input_name, target) for target in program.inputs)


def connections(program: SpeckProgram) -> Iterator[tuple[str, Connection]]:
    """Yield every connection under the name of its source."""
    yield from ((name, (target, program.input_map)) for name, target in entries(program))
    for core in program.cores:
        yield from ((core.name, (target, core.output_shape)) for target in core.destinations)

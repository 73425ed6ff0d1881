"""Tables and buffers of a program for its simulations, built once and kept with the program."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.buffers import Buffers, NeuronGrid, Resident, at_rest
from toolchain.chips.speck.simulate.pack import FlatProgram, pack

__all__ = ["Kept", "Prepared", "check_wiring", "packed"]

BUFFER_BYTES = 2**21
"""Size of the buffers that one sample is recorded in, part by part: below that of huge pages, which
are cleared as a whole."""
MOST_STEPS = 2**14
"""Largest number of steps of a part."""
MOST_SPARE = 8
"""Buffers of one program that are kept while no simulation uses them."""
MOST_TABLES = 8
"""Tables of one program that are kept, each with other records."""

_SPIKE_BYTES, _MEMBRANE_BYTES = 4, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Parts of each step that a simulation records.

    Attributes:
        spikes, membranes: names of the cores, in the order of the program.
    """

    spikes: tuple[str, ...]
    membranes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A program as flat tables.

    Attributes:
        program: the program behind its sensor.
        flat: its tables and the places of its results.
        kept: what is recorded.
        shapes: (channels, y, x) of each core.
        numbers: index of each core.
        grids: place of the membranes of each core.
        steps: number of steps for which the buffers of the record have space.
        spare: buffers that are not in use.
    """

    program: SpeckProgram
    flat: FlatProgram
    kept: Kept
    shapes: dict[str, tuple[int, int, int]]
    numbers: dict[str, int]
    grids: dict[str, NeuronGrid]
    steps: int
    spare: deque[Buffers] = field(default_factory=lambda: deque(maxlen=MOST_SPARE))

    def buffers(self) -> Buffers:
        """Return buffers for one part; put them back into ``spare`` when they are empty again."""
        try:
            return self.spare.pop()
        except IndexError:
            return Buffers(self.flat, self.shapes)

    def at_rest(self, dtype: npt.DTypeLike) -> Resident:
        """Return the state before the first step."""
        cores = self.program.cores
        initial = {core.name: core.initial for core in cores if core.initial is not None}
        return at_rest(self.flat, self.grids, initial, dtype)


_tables: WeakKeyDictionary[SpeckProgram, dict[tuple[Kept, bool], Prepared]] = WeakKeyDictionary()


def packed(program: SpeckProgram, kept: Kept, *, drop: bool = True) -> Prepared:
    """Return the tables of a program; of the same program and ``kept`` usually the same object.

    Programs are frozen, so that tables built once stay right. They are freed with the program.

    Args:
        program: the program.
        kept: what is recorded.
        drop: whether rows and columns beyond the last full pooling window are dropped.

    Raises:
        ValueError: connected layers whose shapes disagree, or a core that is too large.
    """
    found = _tables.setdefault(program, {})
    if (kept, drop) not in found and len(found) >= MOST_TABLES:
        found.clear()
    # two threads may both make them; a lock would stay locked in a process forked meanwhile
    return found.get((kept, drop)) or found.setdefault((kept, drop), _prepared(program, kept, drop))


def _prepared(program: SpeckProgram, kept: Kept, drop: bool) -> Prepared:
    check_wiring(program)
    # a copy: a value that referred to its key would keep it for ever
    behind = program.behind_sensor()
    shapes = {core.name: core.output_shape for core in program.cores}
    neurons = {name: math.prod(shape) for name, shape in shapes.items()}
    size = _SPIKE_BYTES * sum(neurons[name] for name in kept.spikes)
    size += _MEMBRANE_BYTES * sum(neurons[name] for name in kept.membranes)
    steps = max(1, min(MOST_STEPS, BUFFER_BYTES // size))
    flat = pack(behind, steps=steps, spikes=kept.spikes, history=kept.membranes, drop=drop)
    places = np.split(flat.neurons, np.cumsum([*neurons.values()])[:-1])
    return Prepared(
        program=behind,
        flat=flat,
        kept=kept,
        shapes=shapes,
        numbers={name: number for number, name in enumerate(shapes)},
        grids={n: NeuronGrid.of(shapes[n], p) for n, p in zip(shapes, places, strict=True)},
        steps=steps,
    )


def check_wiring(program: SpeckProgram) -> None:
    """Check that every core receives maps of the shape that it expects.

    Raises:
        ValueError: the message lists every connection with another shape.
    """
    faults = []
    for core in program.cores:
        for source, target in program.sources(core.name):
            channels, height, width = program.input_map if source is None else source.output_shape
            sent = (channels, height // target.pooling, width // target.pooling)
            if not program.takes(target, (channels, height, width)):
                sender = "the input" if source is None else source.name
                faults.append(
                    f"{sender} sends {sent} to {core.name}, which takes {core.input_shape}"
                )
    if faults:
        raise ValueError("; ".join(faults))

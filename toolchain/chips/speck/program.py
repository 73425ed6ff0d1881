"""The program of one Speck chip, in integers, core by core.

A program may exceed the limits of its chip, which ``rules`` check. The constructors here and in
``core`` refuse only what is invalid on every chip of the family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from toolchain.chips.speck import faults
from toolchain.chips.speck.core import Array, Destination, SpeckCore, kernel_words
from toolchain.chips.speck.readout import Readout
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.report import Brief, visible

__all__ = ["Array", "Destination", "SpeckCore", "SpeckProgram", "kernel_words"]


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True, eq=False, repr=False)
class SpeckProgram(Brief):
    """The complete configuration of one chip.

    Attributes:
        chip: name of the target chip's specification.
        dt: length of a simulated step, s; None when the network has no time step.
        input_name: the user's name of the input.
        input_shape: (channels, y, x) of the input events.
        sensor: processing of their addresses before the cores; None for none.
        cores: in topological order: destinations come later.
        inputs: connections from the input to cores.
        outputs: names of the monitored cores that are the network's result.
        readout: settings of the readout block; None leaves it off. See ``with_readout``.

    Raises:
        ValueError: with every fault: names used twice or unknown, a destination that is not
            later in the order, a core without a source, an output that is not monitored,
            two layers on one hardware core, a readout of a layer that is not spread.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> program.placed({"spk": 3})["spk"].core
    3
    """

    chip: str
    dt: float | None = None
    input_name: str = "input"
    input_shape: tuple[int, int, int]
    sensor: SpeckSensor | None = None
    cores: tuple[SpeckCore, ...]
    inputs: tuple[Destination, ...]
    outputs: tuple[str, ...]
    readout: Readout | None = None

    def __post_init__(self) -> None:
        for name in ("cores", "inputs", "outputs"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        found = [*_program_faults(self), *_wiring_faults(self)]
        found += [] if self.readout is None else self.readout.faults_in(self.cores)
        if found:
            raise ValueError("SpeckProgram: " + "; ".join(found))
        object.__setattr__(self, "input_shape", faults.as_ints(self.input_shape, 3))

    @property
    def input_map(self) -> tuple[int, int, int]:
        """(channels, y, x) that the ``inputs`` receive: behind the sensor, if there is one."""
        return self.sensor.output_shape(self.input_shape) if self.sensor else self.input_shape

    def behind_sensor(self) -> SpeckProgram:
        """Return the program without its sensor, for events that the sensor has processed."""
        return replace(self, sensor=None, input_shape=self.input_map)

    def __getitem__(self, name: str) -> SpeckCore:
        """Return the core of that name."""
        for core in self.cores:
            if core.name == name:
                return core
        raise KeyError(f"no core {name!r}; the cores are {', '.join(c.name for c in self.cores)}")

    def sources(self, name: str) -> Iterator[tuple[SpeckCore | None, Destination]]:
        """Yield the sources of a core: (core, or None for the input; the connection)."""
        for source, targets in [(None, self.inputs), *((c, c.destinations) for c in self.cores)]:
            yield from ((source, target) for target in targets if target.layer == name)

    def takes(self, target: Destination, shape: tuple[int, int, int]) -> bool:
        """Return whether a map (channels, y, x) has the shape that its destination expects.

        The connection pools the map and shifts its channels. All sources of a core together must
        cover each of its channels.
        """
        wanted = self[target.layer].input_shape
        sides = tuple(side // target.pooling for side in shape[1:])
        return (
            sides == wanted[1:]
            and target.feature_shift + shape[0] <= wanted[0]
            and self._channels_reached(target.layer) == set(range(wanted[0]))
        )

    def _channels_reached(self, name: str) -> set[int]:
        found: set[int] = set()
        for source, target in self.sources(name):
            channels = self.input_map[0] if source is None else source.weight.shape[0]
            found.update(range(target.feature_shift, target.feature_shift + channels))
        return found

    def placed(self, mapping: Mapping[str, int]) -> SpeckProgram:
        """Return the program with layer ``name`` on hardware core ``mapping[name]``.

        Raises:
            ValueError: the keys are not exactly the names of the cores, or an id is used twice.
        """
        names = [core.name for core in self.cores]
        if set(mapping) != set(names):
            raise ValueError(
                f"a placement must name every core once: expected {sorted(names)}, "
                f"got {sorted(mapping)}"
            )
        return replace(self, cores=tuple(replace(c, core=mapping[c.name]) for c in self.cores))

    def __str__(self) -> str:
        """Return the canonical text: one line a core, arrays by dtype, shape and digest."""
        dt = "-" if self.dt is None else f"{self.dt:g} s"
        return "\n".join(
            [
                f"SpeckProgram for {self.chip}, dt {dt}",
                f"  input {faults.shape_text(self.input_shape)} to "
                + ", ".join(map(str, self.inputs)),
                *([f"  {self.sensor}"] if self.sensor else []),
                *(f"  {core}" for core in self.cores),
                visible(f"  output {', '.join(self.outputs)}", one_line=True),
                *([f"  readout {self.readout}"] if self.readout else []),
            ]
        )


def _program_faults(program: SpeckProgram) -> Iterator[str]:
    """Yield the faults of a program that concern no connection."""
    shape = faults.as_ints(program.input_shape, 3)
    if shape is None or min(shape) < 1:
        yield f"input_shape must be 3 integers >= 1, got {program.input_shape!r}"
    elif program.sensor is not None:
        yield from program.sensor.beyond(shape[1:])
    if program.dt is not None and not 0 < program.dt < float("inf"):
        yield f"dt must be > 0 s, got {program.dt!r}"
    if not program.cores:
        yield "there must be at least one core"
    if not program.outputs:
        yield "there must be at least one output"
    used: tuple[tuple[str, list[Any]], ...] = (
        ("name", [core.name for core in program.cores]),
        ("hardware core", [core.core for core in program.cores if core.core is not None]),
        ("output", list(program.outputs)),
    )
    for label, values in used:
        twice = sorted({str(value) for value in values if values.count(value) > 1})
        if twice:
            yield f"{label} used twice: {', '.join(twice)}"


def _wiring_faults(program: SpeckProgram) -> Iterator[str]:
    """Yield connections to unknown or earlier cores, and cores without a source."""
    order = {core.name: index for index, core in enumerate(program.cores)}
    reached = set()
    for index, (source, targets) in enumerate(
        [
            (program.input_name, program.inputs),
            *((core.name, core.destinations) for core in program.cores),
        ]
    ):
        for target in targets:
            if target.layer not in order:
                yield f"{source} sends spikes to unknown core {target.layer!r}"
            elif order[target.layer] < index:
                yield f"{source} sends spikes to {target.layer!r}, which is not later in the order"
            reached.add(target.layer)
    if unreached := [name for name in order if name not in reached]:
        yield f"no spikes are sent to: {', '.join(unreached)}"
    for name in program.outputs:
        if name not in order:
            yield f"unknown output {name!r}"
        elif not program.cores[order[name]].monitor:
            yield f"output {name!r} is not monitored"

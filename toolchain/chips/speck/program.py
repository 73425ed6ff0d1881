"""What is loaded on one Speck chip, in integers, core by core.

A core does one thing, always in this order: convolve the events it is sent, integrate and fire,
and hand its spikes on to at most a few other cores, sum-pooled on the way. A linear layer is a
convolution whose kernel is as large as its input map.

A program may break the limits of the chip it names: it holds what was asked for, and
``rules`` say what the chip refuses. What the constructors here refuse has no meaning on any chip of
the family.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.speck import faults
from toolchain.chips.speck.readout import Readout
from toolchain.chips.speck.sensor import SpeckSensor

__all__ = ["Destination", "SpeckCore", "SpeckProgram", "kernel_words"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where spikes go.

    Attributes:
        layer: name of the core.
        pooling: side of the square pooled on the way, >= 1.
        feature_shift: what is added to a spike's channel on the way, >= 0, so that several
            sources lie side by side in one destination.
    """

    layer: str
    pooling: int = 1
    feature_shift: int = 0

    def __post_init__(self) -> None:
        for name, least in (("pooling", 1), ("feature_shift", 0)):
            value = faults.as_int(getattr(self, name))
            if value is None or value < least:
                raise ValueError(
                    f"{name} to {self.layer!r} must be an integer >= {least}, "
                    f"got {getattr(self, name)!r}"
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeckCore:
    r"""One core: a convolution, its integrate-and-fire neurons, and where their spikes go.

    Attributes:
        name: the user's name of the neuron layer; unique in a program.
        weight_name: the user's name of the convolution or linear layer.
        weight: int8, (outputs, inputs, kernel y, kernel x).
        bias: int16 (outputs,), added to every neuron at every tick of the slow clock; or None.
        stride, padding: (y, x), >= 1 and >= 0.
        input_shape: (channels, y, x) of the events the core is sent.
        threshold_high: a neuron fires at or above it; >= 1.
        threshold_low: the floor of the membrane; <= 0.
        return_to_zero: after a spike the membrane is 0 (True) or less by the threshold (False).
        initial: int16 membranes to start from, like ``output_shape``; None for zeros.
        destinations: the cores that the spikes are sent to.
        core: hardware id once placed.
        monitor: the spikes are read out of the chip.

    Raises:
        ValueError: with every fault of the core: values that are not integers or leave their
            range, shapes that disagree, a kernel larger than the padded input.
    """

    name: str
    weight_name: str
    weight: Array
    bias: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    input_shape: tuple[int, int, int]
    threshold_high: int
    threshold_low: int = -32768
    return_to_zero: bool = False
    initial: Array | None = None
    destinations: tuple[Destination, ...] = ()
    core: int | None = None
    monitor: bool = False

    def __post_init__(self) -> None:
        found = [*faults.of_scalars(self), *faults.of_arrays(self)]
        if not found:
            _normalise(self)
            found = [*faults.of_shapes(self)]
        if found:
            raise ValueError(f"SpeckCore {self.name!r}: " + "; ".join(found))

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels, y, x) of the neurons, before any pooling."""
        height, width = (
            (size + 2 * pad - kernel) // step + 1
            for size, pad, kernel, step in zip(
                self.input_shape[1:], self.padding, self.weight.shape[2:], self.stride, strict=True
            )
        )
        return self.weight.shape[0], height, width

    def pooled_shape(self, pooling: int) -> tuple[int, int, int]:
        """(channels, y, x) that a destination sees; rows beyond the last full window are lost."""
        outputs, height, width = self.output_shape
        return outputs, height // pooling, width // pooling

    @property
    def kernel_words(self) -> int:
        r"""8-bit words: :math:`c\,2^{\lceil\log_2 k_y k_x\rceil + \lceil\log_2 f\rceil}`.

        Source: sinabs documentation, "Speck: memory constraints"; Speck Dev Kit Datasheet.
        """
        return kernel_words(self.weight.shape)

    @property
    def neuron_words(self) -> int:
        r"""16-bit words: :math:`f\,2^{\lceil\log_2 H\rceil + \lceil\log_2 W\rceil}`.

        Source: sinabs documentation, "Speck: memory constraints"; Speck Dev Kit Datasheet.
        """
        outputs, height, width = self.output_shape
        return int(outputs << (_address_bits(height) + _address_bits(width)))

    @property
    def bias_words(self) -> int:
        """16-bit words: one an output channel if there is a bias at all, even one of zeros.

        Source: sinabs documentation, "Speck: memory constraints"; Speck Dev Kit Datasheet.
        """
        return 0 if self.bias is None else int(self.bias.size)

    def __str__(self) -> str:
        """One line, stable: arrays by dtype, shape and digest."""
        reset = "zero" if self.return_to_zero else "subtract"
        parts = [
            f"{self.weight_name} > {self.name}: "
            f"{faults.by(self.input_shape)} -> {faults.by(self.output_shape)}",
            f"weight {_digest(self.weight)}",
            f"bias {_digest(self.bias)}",
            f"stride {faults.by(self.stride)} padding {faults.by(self.padding)}",
            f"threshold {self.threshold_high} floor {self.threshold_low} reset {reset}",
            f"initial {_digest(self.initial)}",
            f"to {', '.join(map(_arrow, self.destinations)) or '-'}",
            f"core {'-' if self.core is None else self.core}",
        ]
        return ", ".join(parts + ["monitored"] * self.monitor)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeckProgram:
    """Everything one chip is loaded with.

    Attributes:
        chip: name of the chip specification it is meant for.
        dt: length of a simulated step, s; None when the network has no time step.
        input_name: the user's own name of the input.
        input_shape: (channels, y, x) of the input events.
        sensor: what is done to their addresses first; None sends them to the cores as they are.
        cores: in topological order: destinations come later.
        inputs: the cores that input events are sent to.
        outputs: names of the monitored cores that are the network's result.
        readout: how the readout block is set; None leaves it off. See ``with_readout``.

    Raises:
        ValueError: with every fault: names used twice or unknown, a destination that is not
            later in the order, a core that nothing is sent to, an output that is not monitored,
            two layers on one hardware core, a readout of a layer that is not spread.
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
        found = [*faults.of_program(self), *faults.of_wiring(self)]
        found += [] if self.readout is None else self.readout.faults_in(self)
        if found:
            raise ValueError("SpeckProgram: " + "; ".join(found))
        object.__setattr__(self, "input_shape", faults.as_ints(self.input_shape, 3))

    @property
    def input_map(self) -> tuple[int, int, int]:
        """(channels, y, x) that the ``inputs`` are sent: behind the sensor, if there is one."""
        return self.sensor.output_shape(self.input_shape) if self.sensor else self.input_shape

    def behind_sensor(self) -> SpeckProgram:
        """The cores alone: the program for events that the sensor has sent on."""
        return replace(self, sensor=None, input_shape=self.input_map)

    def __getitem__(self, name: str) -> SpeckCore:
        """The core of that name."""
        for core in self.cores:
            if core.name == name:
                return core
        raise KeyError(f"no core {name!r}; there are {', '.join(c.name for c in self.cores)}")

    def sources(self, name: str) -> Iterator[tuple[SpeckCore | None, Destination]]:
        """Who sends events to that core: (core, or None for the input; how they are pooled)."""
        for source, targets in [(None, self.inputs), *((c, c.destinations) for c in self.cores)]:
            yield from ((source, target) for target in targets if target.layer == name)

    def takes(self, target: Destination, shape: tuple[int, int, int]) -> bool:
        """Whether spikes of a map (channels, y, x) find their place in what they are sent to.

        The map is pooled and its channels are shifted on the way. All sources of a core together
        must reach each of its channels.
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
        """The same program with layer ``name`` on hardware core ``mapping[name]``.

        Raises:
            ValueError: the keys are not exactly the names of the cores, or an id is used twice.
        """
        names = [core.name for core in self.cores]
        if set(mapping) != set(names):
            raise ValueError(
                f"a placement names every core once: wants {sorted(names)}, got {sorted(mapping)}"
            )
        return replace(self, cores=tuple(replace(c, core=mapping[c.name]) for c in self.cores))

    def to_arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The arrays by name, and everything else as JSON-able data."""
        from toolchain.chips.speck import store  # it builds the classes defined here

        return store.to_arrays(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> SpeckProgram:
        """The program that ``to_arrays`` took apart; ``ValueError`` if anything is missing."""
        from toolchain.chips.speck import store  # it builds the classes defined here

        return store.from_arrays(arrays, metadata)

    def __str__(self) -> str:
        """Canonical text: one line a core, arrays by dtype, shape and digest."""
        dt = "-" if self.dt is None else f"{self.dt:g} s"
        return "\n".join(
            [
                f"SpeckProgram for {self.chip}, dt {dt}",
                f"  input {faults.by(self.input_shape)} to {', '.join(map(_arrow, self.inputs))}",
                *([f"  {self.sensor}"] if self.sensor else []),
                *(f"  {core}" for core in self.cores),
                f"  output {', '.join(self.outputs)}",
                *([f"  readout {self.readout}"] if self.readout else []),
            ]
        )


def _normalise(core: SpeckCore) -> None:
    """Own, read-only arrays of the declared type, and plain Python numbers."""
    for part, dtype in faults.RANGES.items():
        if (value := getattr(core, part)) is not None:
            array = np.array(value, dtype=dtype, order="C", copy=True)
            array.flags.writeable = False
            object.__setattr__(core, part, array)
    for part, length in (("stride", 2), ("padding", 2), ("input_shape", 3)):
        object.__setattr__(core, part, faults.as_ints(getattr(core, part), length))
    for part in ("threshold_high", "threshold_low"):
        object.__setattr__(core, part, int(getattr(core, part)))
    for part in ("return_to_zero", "monitor"):
        object.__setattr__(core, part, bool(getattr(core, part)))
    object.__setattr__(core, "core", None if core.core is None else int(core.core))
    object.__setattr__(core, "destinations", tuple(core.destinations))


def kernel_words(shape: tuple[int, ...]) -> int:
    """8-bit words of a kernel of that shape, (outputs, inputs, y, x); see ``SpeckCore``."""
    outputs, inputs, height, width = shape
    return int(inputs << (_address_bits(height * width) + _address_bits(outputs)))


def _address_bits(count: int) -> int:
    """Address bits for ``count`` things: the logarithm to base 2, rounded up."""
    return (count - 1).bit_length()


def _digest(array: Array | None) -> str:
    if array is None:
        return "-"
    digest = hashlib.sha256(array.tobytes()).hexdigest()[:8]
    return f"{array.dtype}[{faults.by(array.shape)}]:{digest}"


def _arrow(target: Destination) -> str:
    on_the_way = [f"sum {target.pooling}"] * (target.pooling > 1)
    on_the_way += [f"channels +{target.feature_shift}"] * (target.feature_shift > 0)
    return f"{target.layer} ({', '.join(on_the_way)})" if on_the_way else target.layer

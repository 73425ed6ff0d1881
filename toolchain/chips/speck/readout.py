"""The readout block: which class fires most, averaged over ticks of the slow clock.

It is fed by one core and tells 15 classes apart, numbered from 1; 0 is nobody. On Speck2e and 2f
class k + 1 hears channel 4 k of that core and no other, so a layer is *spread*: n classes lie on
4 (n - 1) + 1 channels, and those between have no weights and never spike. That changes nothing
that the layer computes.

Source: Speck Dev Kit Datasheet, sec. 3.2.5; sinabs documentation, "Chip errata".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from toolchain.chips.speck.program import SpeckCore, SpeckProgram

__all__ = [
    "LAYER_ID",
    "MODES",
    "SPREAD",
    "WINDOWS",
    "OutputNeuron",
    "Readout",
    "flat_outputs",
    "own_channels",
    "readout_table",
    "with_readout",
]

Array = npt.NDArray[Any]

LAYER_ID = 12
"""The vendor's number of the block, as a destination."""

SPREAD = 4
"""From the channel of a class to that of the next."""

WINDOWS = (1, 16, 32)
"""Ticks of the slow clock that can be averaged."""

MODES = ("off", "compare", "selected", "max")
"""What the payload of a readout value is, in the order of the vendor's numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """How the block is set.

    Attributes:
        layer: name of the core that feeds it, spread over channels; see ``with_readout``.
        threshold: a class must average more than this, spikes a tick; 0..65535.
        window: how many ticks are averaged; one of ``WINDOWS``.
        mode: what a value carries; one of ``MODES``: nothing, a bit for each class above the
            threshold, the average of the class ``selected``, or that of the largest.
        selected: the class that ``mode="selected"`` asks for, from 1 on.
        always: the largest class is shown on the pins at every tick, whatever the threshold.
        values: a readout value is sent at every tick; the chip then sends no spikes.
        pins: what the pins show is sent.

    Raises:
        ValueError: with every fault.
    """

    layer: str
    threshold: int = 0
    window: int = 1
    mode: str = "compare"
    selected: int | None = None
    always: bool = False
    values: bool = False
    pins: bool = True

    def __post_init__(self) -> None:
        if found := [*self._faults()]:
            raise ValueError("Readout: " + "; ".join(found))

    def _faults(self) -> Iterator[str]:
        if type(self.threshold) is not int or not 0 <= self.threshold <= 0xFFFF:
            yield f"threshold must be an integer from 0 to 65535, got {self.threshold!r}"
        if type(self.window) is not int or self.window not in WINDOWS:
            yield f"window must be {_either(WINDOWS)}, got {self.window!r}"
        if self.mode not in MODES:
            yield f"mode must be {_either(map(repr, MODES))}, got {self.mode!r}"
        if (self.selected is not None) != (self.mode == "selected"):
            yield "selected goes with mode='selected' and with no other"
        elif self.selected is not None and not _is_class(self.selected):
            yield f"selected must be a class from 1 on, got {self.selected!r}"
        for name in ("always", "values", "pins"):
            if type(getattr(self, name)) is not bool:
                yield f"{name} must be True or False, got {getattr(self, name)!r}"

    def __str__(self) -> str:
        """One line, stable."""
        flags = [name for name in ("always", "values", "pins") if getattr(self, name)]
        mode = self.mode if self.selected is None else f"{self.mode} {self.selected}"
        parts = [f"{self.layer}, threshold {self.threshold}, window {self.window}, mode {mode}"]
        return ", ".join(parts + flags)

    def faults_in(self, program: SpeckProgram) -> Iterator[str]:
        """Why the block cannot be fed by that program, as short facts."""
        if self.layer not in [core.name for core in program.cores]:
            yield f"the readout is fed by unknown core {self.layer!r}"
            return
        core = program[self.layer]
        channels, height, width = core.output_shape
        if (height, width) != (1, 1):
            yield f"the readout takes one neuron a class, {self.layer!r} is a map {height}x{width}"
        if (channels - 1) % SPREAD:
            yield (
                f"the readout hears every {SPREAD}th channel: {channels} channels of "
                f"{self.layer!r} are not 1, 5, 9, ... (see with_readout)"
            )
        elif not _is_spread(core):
            yield (
                f"the readout hears every {SPREAD}th channel: channels of {self.layer!r} between "
                "them have weights, biases or membranes"
            )
        elif self.selected is not None and self.selected > _classes(core):
            yield f"class {self.selected} is selected, {self.layer!r} has {_classes(core)}"


def with_readout(
    program: SpeckProgram, *, layer: str | None = None, **settings: Any
) -> SpeckProgram:
    """The program with its output layer spread over channels and sent to the readout block.

    Args:
        program: one without readout.
        layer: the output that is read out; needed where there are several.
        settings: fields of ``Readout``.

    Returns:
        A program without places: the layer grows, so its cores are to be found anew. What its
        neurons compute stays as it was, and so do the outputs of a simulation.

    Raises:
        ValueError: there is a readout already; the layer is no output, is larger than one pixel
            or sends to other cores; or ``settings`` are none.
    """
    if program.readout is not None:
        raise ValueError(f"{program.readout.layer!r} is read out already")
    if layer is None and len(program.outputs) > 1:
        raise ValueError(f"name the layer to read out: one of {', '.join(program.outputs)}")
    name = program.outputs[0] if layer is None else layer
    if name not in program.outputs:
        raise ValueError(f"{name!r} is no output; there are {', '.join(program.outputs)}")
    if targets := [target.layer for target in program[name].destinations]:
        raise ValueError(
            f"{name!r} also sends to {', '.join(targets)}, which would hear the channels between"
        )
    cores = (_spread(core) if core.name == name else core for core in program.cores)
    return replace(
        program,
        cores=tuple(replace(core, core=None) for core in cores),
        readout=Readout(layer=name, **settings),
    )


# ---- who is who ----


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputNeuron:
    """One output of the network.

    Attributes:
        output: its place among the outputs of a simulation, the last axis of their spikes.
        layer: the user's name of the layer.
        core: hardware id, None before the layers are placed.
        channel, y, x: where it lies on the core, and what an event of it says.
        readout_class: its class in the readout block; None where the layer does not feed it.
    """

    output: int
    layer: str
    core: int | None
    channel: int
    y: int
    x: int
    readout_class: int | None


def readout_table(program: SpeckProgram) -> tuple[OutputNeuron, ...]:
    """Every output of the network: its neuron, core and channel, and its readout class."""
    found: list[OutputNeuron] = []
    for name in program.outputs:
        core, step = program[name], _step(program, name)
        channels, height, width = core.output_shape
        for place in np.ndindex(-(-channels // step), height, width):
            number, y, x = map(int, place)
            found.append(
                OutputNeuron(
                    output=len(found),
                    layer=name,
                    core=core.core,
                    channel=number * step,
                    y=y,
                    x=x,
                    readout_class=number + 1 if step > 1 else None,
                )
            )
    return tuple(found)


def flat_outputs(program: SpeckProgram, outputs: Mapping[str, Array]) -> Array:
    """Spikes of all outputs side by side, (batch, steps, outputs), in the order of the table.

    Layer after layer as in ``program.outputs``, each by channel, y and x. Channels that spreading
    put between are left out.

    Args:
        program: what was simulated.
        outputs: of each output layer (batch, steps, channels[, y, x]).
    """
    parts = [own_channels(program, name, outputs[name]) for name in program.outputs]
    flat = [part.reshape(*part.shape[:2], int(np.prod(part.shape[2:]))) for part in parts]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=2)


def own_channels(program: SpeckProgram, name: str, values: Array) -> Array:
    """(batch, steps, channels, ...) of a layer without the channels that spreading put between."""
    return values[:, :, :: _step(program, name)]


def _step(program: SpeckProgram, name: str) -> int:
    """From a channel that is an output to the next."""
    return SPREAD if program.readout is not None and program.readout.layer == name else 1


# ---- spreading ----


def _spread(core: SpeckCore) -> SpeckCore:
    def wide(values: Array | None) -> Array | None:
        if values is None:
            return None
        spread = np.zeros((SPREAD * (len(values) - 1) + 1, *values.shape[1:]), values.dtype)
        spread[::SPREAD] = values
        return spread

    weight = wide(core.weight)
    assert weight is not None
    return replace(core, weight=weight, bias=wide(core.bias), initial=wide(core.initial))


def _is_spread(core: SpeckCore) -> bool:
    between = np.arange(core.weight.shape[0]) % SPREAD != 0
    parts = (core.weight, core.bias, core.initial)
    return not any(part is not None and part[between].any() for part in parts)


def _classes(core: SpeckCore) -> int:
    return (int(core.weight.shape[0]) - 1) // SPREAD + 1


def _is_class(value: object) -> bool:
    return type(value) is int and value >= 1


def _either(values: Any) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} or {last}"

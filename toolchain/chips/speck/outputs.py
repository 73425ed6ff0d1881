"""Outputs of a Speck program: their position, and the layout that the readout block needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from toolchain.chips.speck.core import Array, SpeckCore
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.readout import SPREAD, Readout

__all__ = [
    "OutputNeuron",
    "channel_step",
    "flat_outputs",
    "own_channels",
    "readout_table",
    "with_readout",
]


def with_readout(
    program: SpeckProgram, *, layer: str | None = None, **settings: Any
) -> SpeckProgram:
    """Spread the output layer over channels and connect it to the readout block.

    Args:
        program: a program without readout.
        layer: the output to read out; required where there are several.
        settings: fields of ``Readout``.

    Returns:
        A program that is not placed, because the layer needs more memory. The outputs of a
        simulation are unchanged.

    Raises:
        ValueError: the program has a readout already; the layer is not an output, is larger than
            one pixel or has destinations; or a setting is unknown or invalid.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> read = with_readout(program, window=16)
    >>> read["spk"].output_shape  # one class each 4 channels
    (5, 1, 1)
    >>> print(read.readout)
    spk, threshold 0, window 16, mode compare, pins
    """
    if program.readout is not None:
        raise ValueError(f"the program already has a readout, of {program.readout.layer!r}")
    if layer is None and len(program.outputs) > 1:
        raise ValueError(f"name the layer to read out: one of {', '.join(program.outputs)}")
    name = program.outputs[0] if layer is None else layer
    if name not in program.outputs:
        raise ValueError(f"{name!r} is not an output; the outputs are {', '.join(program.outputs)}")
    if targets := [target.layer for target in program[name].destinations]:
        raise ValueError(
            f"{name!r} also sends to {', '.join(targets)}, which would receive the unused channels"
        )
    known = [field.name for field in fields(Readout) if field.name != "layer"]
    if wrong := ", ".join(sorted(set(settings) - set(known))):
        raise ValueError(f"the readout has no setting {wrong}; its settings are {', '.join(known)}")
    cores = (_spread(core) if core.name == name else core for core in program.cores)
    return replace(
        program,
        cores=tuple(replace(core, core=None) for core in cores),
        readout=Readout(layer=name, **settings),
    )


# ---- output neurons ----


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputNeuron:
    """One output neuron of the network.

    Attributes:
        output: index in the last axis of a simulation's output spikes.
        layer: the user's name of the layer.
        core: hardware id, None before the layers are placed.
        channel, y, x: its address on the core, and in its events.
        readout_class: its class in the readout block; None where the layer is not connected to it.
    """

    output: int
    layer: str
    core: int | None
    channel: int
    y: int
    x: int
    readout_class: int | None


def readout_table(program: SpeckProgram) -> tuple[OutputNeuron, ...]:
    """Return every output of the network: its neuron, core, channel and readout class.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> for neuron in readout_table(with_readout(program)):
    ...     print(neuron.output, neuron.layer, neuron.channel, neuron.readout_class)
    0 spk 0 1
    1 spk 4 2
    """
    found: list[OutputNeuron] = []
    for name in program.outputs:
        core, step = program[name], channel_step(program, name)
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
    """Concatenate the spikes of all outputs, (batch, steps, outputs), in the table's order.

    Layer after layer as in ``program.outputs``, each by channel, y and x. The unused channels of a
    spread layer are left out.

    Args:
        program: the program that was simulated.
        outputs: spikes of each output layer (batch, steps, channels[, y, x]).
    """
    parts = [own_channels(program, name, outputs[name]) for name in program.outputs]
    flat = [part.reshape(*part.shape[:2], int(np.prod(part.shape[2:]))) for part in parts]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=2)


def own_channels(program: SpeckProgram, name: str, values: Array) -> Array:
    """Return (batch, steps, channels, ...) of a layer without the unused channels between."""
    return values[:, :, :: channel_step(program, name)]


def channel_step(program: SpeckProgram, name: str) -> int:
    """Return the distance between the channels of two outputs."""
    return SPREAD if program.readout is not None and program.readout.layer == name else 1


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

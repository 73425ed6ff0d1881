"""The outputs of a Speck program: where each lies, and a layer spread for the readout block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from toolchain.chips.speck.core import Array, SpeckCore
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.readout import SPREAD, Readout

__all__ = ["OutputNeuron", "flat_outputs", "own_channels", "readout_table", "with_readout"]


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
    known = [field.name for field in fields(Readout) if field.name != "layer"]
    if wrong := ", ".join(sorted(set(settings) - set(known))):
        raise ValueError(f"the readout has no setting {wrong}; there are {', '.join(known)}")
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

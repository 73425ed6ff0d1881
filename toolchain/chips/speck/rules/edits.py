"""Edits of a Speck program that also adapt the layers behind; hints are tried on them.

Each function returns a new program, or None where the change is impossible. Layers behind a changed
one are adapted to their new input: they lose input channels, and a kernel as large as its input map
shrinks with the map. The result is not placed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.spec import SpeckChip

__all__ = [
    "moved",
    "rescaled",
    "split",
    "with_clipped_weights",
    "with_copy",
    "with_floor",
    "with_outputs",
    "with_padding",
    "with_pooling",
    "with_square_kernel",
    "with_stride",
    "without_bias",
]


def with_outputs(program: SpeckProgram, name: str, outputs: int) -> SpeckProgram | None:
    """Keep the first ``outputs`` output channels of a layer."""
    core = program[name]
    return _with(
        program,
        name,
        weight=core.weight[:outputs],
        bias=None if core.bias is None else core.bias[:outputs],
        initial=None if core.initial is None else core.initial[:outputs],
    )


def with_stride(program: SpeckProgram, name: str, stride: tuple[int, int]) -> SpeckProgram | None:
    """Set the stride of a layer."""
    return _with(program, name, stride=stride, initial=None)


def with_padding(program: SpeckProgram, name: str, padding: tuple[int, int]) -> SpeckProgram | None:
    """Set the padding of a layer."""
    return _with(program, name, padding=padding, initial=None)


def with_square_kernel(program: SpeckProgram, name: str) -> SpeckProgram | None:
    """Append zeros to the shorter side of a layer's kernel; the map may become smaller."""
    weight = program[name].weight
    side = max(weight.shape[2:])
    border = [(0, 0), (0, 0), *((0, side - length) for length in weight.shape[2:])]
    return _with(program, name, weight=np.pad(weight, border), initial=None)


def with_pooling(program: SpeckProgram, name: str, pooling: int) -> SpeckProgram | None:
    """Sum-pool all events of a layer by ``pooling``, those of the input by the sensor."""
    sensor = program.sensor
    if any(target.layer == name for target in program.inputs):
        sensor = _pooling(program, pooling)
        if sensor is None:
            return None

    def changed(targets: tuple[Destination, ...]) -> tuple[Destination, ...]:
        return tuple(replace(t, pooling=pooling) if t.layer == name else t for t in targets)

    cores = tuple(replace(c, destinations=changed(c.destinations)) for c in program.cores)
    try:
        return _adapt_layers(replace(program, sensor=sensor, cores=cores))
    except ValueError:  # the map is smaller than the kernel
        return None


def _pooling(program: SpeckProgram, pooling: int) -> SpeckSensor | None:
    """Return the sensor with its pooling multiplied; None where that is not supported."""
    sensor = program.sensor
    if sensor is None or len(program.inputs) > 1:
        return None
    rows, columns = (side // pooling for side in sensor.size)
    if any((*sensor.origin, sensor.mirror_y, sensor.mirror_x)) or not rows or not columns:
        return None
    by_y, by_x = sensor.pooling
    return replace(sensor, pooling=(by_y * pooling, by_x * pooling), cut=(rows - 1, columns - 1))


def with_copy(program: SpeckProgram, name: str, kept: int) -> SpeckProgram:
    """Duplicate a layer: the first core keeps ``kept`` destinations, the second has the others.

    Exact: both compute the same spikes.
    """
    core = program[name]
    first = replace(core, destinations=core.destinations[:kept])
    copy = replace(
        core,
        name=free_name(f"{name} (copy)", program),
        destinations=core.destinations[kept:],
        monitor=False,
    )
    return _with_two_cores(program, first, copy)


def split(program: SpeckProgram, name: str) -> SpeckProgram:
    """Split a layer into two cores, each with half of its output channels.

    Exact: their spikes use consecutive channels of each destination.
    """
    core = program[name]
    half = core.weight.shape[0] // 2
    parts = []
    for part in (slice(0, half), slice(half, None)):
        shift = int(part.start)
        parts.append(
            replace(
                core,
                name=free_name(f"{name} (rest)", program) if shift else name,
                weight=core.weight[part],
                bias=None if core.bias is None else core.bias[part],
                initial=None if core.initial is None else core.initial[part],
                destinations=tuple(
                    replace(target, feature_shift=target.feature_shift + shift)
                    for target in core.destinations
                ),
            )
        )
    return _with_two_cores(program, *parts)


def free_name(name: str, program: SpeckProgram) -> str:
    """Return ``name`` with as many ``'`` as no other layer has."""
    taken = {core.name for core in program.cores}
    while name in taken:
        name += "'"
    return name


def _with_two_cores(program: SpeckProgram, first: SpeckCore, second: SpeckCore) -> SpeckProgram:
    """Replace a core by two with the same sources; ``first`` has its name."""
    cores: list[SpeckCore] = []
    for core in program.cores:
        if core.name == first.name:
            cores += [replace(first, core=None), replace(second, core=None)]
        else:
            cores.append(_with_copied_connections(core, first.name, second.name))
    inputs = [replace(t, layer=second.name) for t in program.inputs if t.layer == first.name]
    return replace(program, cores=tuple(cores), inputs=(*program.inputs, *inputs))


def rescaled(program: SpeckProgram, name: str, factor: int) -> SpeckProgram | None:
    """Divide a layer's integers by ``factor``, rounded half to even."""
    core = program[name]
    changes: dict[str, Any] = {}
    for part in ("weight", "bias", "initial"):
        value = getattr(core, part)
        if value is not None:
            changes[part] = np.rint(value / factor).astype(np.int64)
    changes["threshold_high"] = max(1, round(core.threshold_high / factor))
    changes["threshold_low"] = min(0, round(core.threshold_low / factor))
    return _with(program, name, **changes)


def with_floor(program: SpeckProgram, name: str, threshold_low: int) -> SpeckProgram | None:
    """Set the floor of a layer's membranes."""
    return _with(program, name, threshold_low=threshold_low)


def with_clipped_weights(program: SpeckProgram, name: str, top: int) -> SpeckProgram | None:
    """Clip the weights of a layer to ``top``."""
    return _with(program, name, weight=np.minimum(program[name].weight, top))


def without_bias(program: SpeckProgram, name: str) -> SpeckProgram | None:
    """Remove the biases of a layer."""
    return _with(program, name, bias=None)


def moved(program: SpeckProgram, chip: SpeckChip) -> SpeckProgram:
    """Return the program for another chip of the family."""
    cores = tuple(replace(core, core=None) for core in program.cores)
    return replace(program, chip=chip.name, cores=cores)


def _with_copied_connections(core: SpeckCore, name: str, second: str) -> SpeckCore:
    """Return a core that sends to ``second`` what it sends to ``name``."""
    more = [replace(target, layer=second) for target in core.destinations if target.layer == name]
    return replace(core, destinations=(*core.destinations, *more), core=None)


def _with(program: SpeckProgram, name: str, **changes: Any) -> SpeckProgram | None:
    try:
        return _adapt_layers(_replace_core(program, replace(program[name], **changes)))
    except ValueError:  # invalid on every chip: a kernel larger than its map
        return None


def _replace_core(program: SpeckProgram, core: SpeckCore) -> SpeckProgram:
    cores = (core if other.name == core.name else other for other in program.cores)
    return replace(program, cores=tuple(_unplaced(c) for c in cores))


def _unplaced(core: SpeckCore) -> SpeckCore:
    return core if core.core is None else replace(core, core=None)


def _adapt_layers(program: SpeckProgram) -> SpeckProgram | None:
    """Adapt every layer to the map that it receives; None where its sources disagree."""
    received: dict[str, list[tuple[str | None, Destination]]] = {c.name: [] for c in program.cores}
    for target in program.inputs:
        received[target.layer].append((None, target))
    for core in program.cores:
        for target in core.destinations:
            received[target.layer].append((core.name, target))
    cores = {core.name: _unplaced(core) for core in program.cores}
    for name, sources in received.items():
        sent, sides = set[int](), set[tuple[int, ...]]()
        for source, target in sources:
            shape = program.input_map if source is None else cores[source].output_shape
            sent.update(range(target.feature_shift, target.feature_shift + shape[0]))
            sides.add(tuple(side // target.pooling for side in shape[1:]))
        if len(sides) != 1 or sent != set(range(len(sent))):
            return None
        height, width = sides.pop()
        cores[name] = _adapt(cores[name], (len(sent), height, width))
    return replace(program, cores=tuple(cores.values()))


def _adapt(core: SpeckCore, shape: tuple[int, int, int]) -> SpeckCore:
    if shape == core.input_shape:
        return core
    channels, height, width = shape
    weight = core.weight[:, :channels]
    if weight.shape[2:] == core.input_shape[1:] and core.padding == (0, 0):
        weight = weight[..., :height, :width]
    return replace(core, weight=weight, input_shape=shape, initial=None)

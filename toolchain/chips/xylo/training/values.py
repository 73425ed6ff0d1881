"""Integers of a program that is trained: their ranges, and the registers that they fill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.training import Parameter
from toolchain.chips.xylo.dashes import NO_MEMORY
from toolchain.chips.xylo.lower.blocks import Block
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip
from toolchain.chips.xylo.training.structure import Structure, TrainedLayer
from toolchain.ir import Linear, Membrane, Neuron

__all__ = ["parameters_of", "with_values"]


def parameters_of(structure: Structure, chip: XyloChip) -> dict[str, Parameter]:
    """Return the weights, thresholds and biases of a program by name, in the network's order.

    Weights have the range of the words of the matrices that they are added to, without -128 unless
    they have it already. Weights that are added in the same registers share that range: what their
    present values leave of it is divided among them. The outputs that are read as states have no
    threshold. A core without biases has none, nor has an output without memory, which the chip
    reads as a current. Layers without a bias get none: with one anywhere, the core runs a stage
    more for all neurons.

    Raises:
        ValueError: weights of which no range is left.
    """
    ranges = _weight_ranges(structure, chip)
    found: dict[str, Parameter] = {}
    for name, node in structure.graph.nodes.items():
        if isinstance(node, Linear) and name in ranges:
            found[f"{name}.weight"] = ranges[name]
        elif isinstance(node, Membrane):
            found |= {p.name: p for p in _of_neurons(structure, chip, name, node)}
    return found


def _of_neurons(
    structure: Structure, chip: XyloChip, name: str, node: Membrane
) -> Iterator[Parameter]:
    width = int(chip.limits.threshold_width.value)
    if isinstance(node, Neuron):
        yield Parameter(
            node=name,
            field="v_threshold",
            kind="threshold",
            shape=node.v_threshold.shape,
            step=1,
            low=1,
            high=2 ** (width - 1) - 1,
        )
    read = not isinstance(node, Neuron) and bool(np.all(node.alpha_mem < NO_MEMORY))
    if chip.limits.bias_width is None or structure.program.core == "v1" or read:
        return
    if not node.bias.any():
        return
    most = 2 ** (int(chip.limits.bias_width.value) - 1)
    yield Parameter(
        node=name,
        field="bias",
        kind="bias",
        shape=node.bias.shape,
        step=1,
        low=-most,
        high=most - 1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """Least and largest value of a weight, multiples of ``step``."""

    low: int
    high: int
    step: int

    def both(self, other: _Range) -> _Range:
        """Return the values that are in both ranges."""
        step = max(self.step, other.step)
        return _Range(
            low=-(-max(self.low, other.low) // step) * step,
            high=min(self.high, other.high) // step * step,
            step=step,
        )


def _weight_ranges(structure: Structure, chip: XyloChip) -> dict[str, Parameter]:
    """Return the parameter of each weight.

    Raises:
        ValueError: weights of which no range is left.
    """
    most = 2 ** (int(chip.limits.weight_width.value) - 1)
    shared: dict[tuple[Any, ...], list[str]] = {}
    for block in structure.blocks:
        starts = tuple((s.start, s.stop) for s in block.index[:2])
        shared.setdefault((block.register, *starts), []).append(block.projection.name)
    ranges: dict[str, _Range] = {}
    for (register, *_), names in shared.items():
        step = 1 << getattr(structure.program, register.replace("weights", "weight_shift"))
        for name, found in _divided(structure, names, most, step).items():
            ranges[name] = ranges[name].both(found) if name in ranges else found
    return {name: _parameter(structure, name, found) for name, found in ranges.items()}


def _divided(structure: Structure, names: list[str], most: int, step: int) -> dict[str, _Range]:
    """Return the range of each weight that is added to one block of registers."""
    extents = {name: _extent(structure, name) for name in names}
    lowest = sum(extents[name][0] for name in names)
    highest = sum(extents[name][1] for name in names)
    if len(names) > 1 and (lowest < -most * step or highest > (most - 1) * step):
        raise ValueError(
            f"{' and '.join(dict.fromkeys(names))} are added in the same registers, and their "
            f"extremes together, {lowest}..{highest}, are beyond {-most * step}.."
            f"{(most - 1) * step}; merge them into one weight"
        )
    floor = -(most if lowest < -(most - 1) * step else most - 1) * step
    below = (lowest - floor) // (step * len(names)) * step
    above = ((most - 1) * step - highest) // (step * len(names)) * step
    return {
        name: _Range(low=low - below, high=high + above, step=step)
        for name, (low, high) in extents.items()
    }


def _extent(structure: Structure, name: str) -> tuple[int, int]:
    node = structure.graph[name]
    assert isinstance(node, Linear)
    return int(node.weight.min(initial=0)), int(node.weight.max(initial=0))


def _parameter(structure: Structure, name: str, found: _Range) -> Parameter:
    node = structure.graph[name]
    assert isinstance(node, Linear)
    weight = node.weight
    if (weight < found.low).any() or (weight > found.high).any() or (weight % found.step).any():
        raise ValueError(
            f"{name}: its weights {weight.min()}..{weight.max()} are stored in several matrices, "
            f"which have only multiples of {found.step} in {found.low}..{found.high} in common"
        )
    return Parameter(
        node=name,
        field="weight",
        kind="weight",
        shape=weight.shape,
        step=found.step,
        low=found.low,
        high=found.high,
    )


def with_values(structure: Structure, values: Mapping[str, Array]) -> XyloProgram:
    """Return the program with other integers."""
    program = structure.program
    changes: dict[str, Any] = _weights(structure.blocks, program, values)
    for name, layer in structure.layers.items():
        suffix = "_out" if layer.place.role == "output" else ""
        for field, register in (("v_threshold", "threshold"), ("bias", "bias")):
            if f"{name}.{field}" in values:
                _fill(changes, program, register + suffix, layer, values[f"{name}.{field}"])
    same = {field.name: getattr(program, field.name) for field in fields(XyloProgram)}
    return ChangedProgram(**same | changes)


class ChangedProgram(XyloProgram):
    """A program with other integers, whose ranges are those of the parameters."""

    def __post_init__(self) -> None:
        """Check nothing: it takes longer than the simulation of a small batch."""


def _weights(
    blocks: Iterable[Block], program: XyloProgram, values: Mapping[str, Array]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        register: np.zeros(getattr(program, register).shape, np.int64)
        for register in ("weights_in", "weights_rec", "weights_out")
    }
    for block in blocks:
        weight = values[f"{block.projection.name}.weight"]
        found[block.register][block.index] += block.words(weight)
    return {
        register: (weights >> getattr(program, register.replace("weights", "weight_shift"))).astype(
            np.int8
        )
        for register, weights in found.items()
    }


def _fill(
    changes: dict[str, Any], program: XyloProgram, register: str, layer: TrainedLayer, value: Array
) -> None:
    if register not in changes:
        changes[register] = getattr(program, register).copy()
    changes[register][layer.ids] = np.broadcast_to(value, layer.shape).ravel()

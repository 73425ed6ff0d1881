"""A Speck program as the flat tables that the compiled simulation reads (see ``kernel``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.speck.kernel import CORE_FIELDS, TARGET_FIELDS, Core, Target
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram

__all__ = ["Tables", "largest_sum", "pack"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """The program, flat.

    Attributes:
        shape: (channels, y, x) of the input.
        inputs: first and last row of ``targets`` that the input events go to.
        cores, targets, phases, weights, biases: as ``kernel.run`` wants them.
        lines: lines of neurons of all cores together.
        membranes: by core, where its neurons lie among all.
        spikes, history: by recorded core, where its record lies among all.
    """

    shape: Array
    inputs: Array
    cores: Array
    targets: Array
    phases: Array
    weights: Array
    biases: Array
    lines: int
    membranes: dict[str, slice]
    spikes: dict[str, slice]
    history: dict[str, slice]


def pack(
    program: SpeckProgram, *, steps: int, spikes: Collection[str], history: Collection[str]
) -> Tables:
    """The tables of a program, with room to record ``steps`` of the named cores."""
    neurons = {core.name: int(np.prod(core.output_shape)) for core in program.cores}
    phases = {core.name: _phases(core) for core in program.cores}
    leaks = {core.name: _bias_line(core) for core in program.cores if core.bias is not None}
    weights = {core.name: _event_order(core) for core in program.cores}
    places = {
        Core.MEMBRANE_AT: _lay_out(neurons),
        Core.WEIGHT_AT: _lay_out({name: w.size for name, w in weights.items()}),
        Core.PHASE_AT: _lay_out({name: p.size for name, p in phases.items()}),
        Core.BIAS_AT: _lay_out({name: leak.size for name, leak in leaks.items()}),
        Core.ROW_AT: _lay_out({core.name: core.output_shape[1] for core in program.cores}),
        Core.SPIKES_AT: _lay_out({n: steps * neurons[n] for n in neurons if n in spikes}),
        Core.HISTORY_AT: _lay_out({n: steps * neurons[n] for n in neurons if n in history}),
    }
    return Tables(
        shape=np.array(program.input_shape, np.int64),
        inputs=np.array([0, len(program.inputs)], np.int64),
        cores=_core_table(program, places),
        targets=_target_table(program),
        phases=np.concatenate([*phases.values()]),
        weights=np.concatenate([*weights.values()]),
        biases=np.concatenate([np.zeros(0, np.int16), *leaks.values()]),
        lines=sum(core.output_shape[1] for core in program.cores),
        membranes=places[Core.MEMBRANE_AT],
        spikes=places[Core.SPIKES_AT],
        history=places[Core.HISTORY_AT],
    )


def largest_sum(program: SpeckProgram, peak: int) -> int:
    """A bound on any membrane before it is clamped, if input counts are at most ``peak``.

    A neuron starts a step within int16, gets its bias, and every weight times at most what its
    input address can count in one step: 32767 // threshold spikes of each pooled neuron.
    """
    bound = 0
    for core in program.cores:
        counts = (
            (peak if source is None else 32767 // source.threshold_high) * target.pooling**2
            for source, target in program.sources(core.name)
        )
        weights = np.abs(core.weight.astype(np.int64)).sum((1, 2, 3)).max()
        bound = max(bound, 32768 + 32768 + int(weights) * sum(counts))
    return bound


def _lay_out(sizes: Mapping[str, int]) -> dict[str, slice]:
    """Room for each, one after the other."""
    stop, slices = 0, {}
    for name, size in sizes.items():
        slices[name] = slice(stop, stop + size)
        stop += size
    return slices


def _core_table(program: SpeckProgram, places: Mapping[Core, Mapping[str, slice]]) -> Array:
    table = np.full((len(program.cores), CORE_FIELDS), -1, np.int64)
    first = len(program.inputs)
    for row, core in zip(table, program.cores, strict=True):
        outputs, height, width = core.output_shape
        row[[Core.HEIGHT, Core.WIDTH, Core.OUTPUTS]] = height, width, outputs
        row[[Core.KERNEL_Y, Core.KERNEL_X]] = core.weight.shape[2:]
        row[[Core.STRIDE_Y, Core.STRIDE_X]] = core.stride
        row[[Core.PADDING_Y, Core.PADDING_X]] = core.padding
        row[Core.THRESHOLD], row[Core.FLOOR] = core.threshold_high, core.threshold_low
        row[Core.RETURN_TO_ZERO] = core.return_to_zero
        for column, slices in places.items():
            if core.name in slices:
                row[column] = slices[core.name].start
        row[Core.FIRST_TARGET], row[Core.LAST_TARGET] = first, first + len(core.destinations)
        first += len(core.destinations)
    return table


def _target_table(program: SpeckProgram) -> Array:
    """One row a connection: those of the input first, then core by core."""
    numbers = {core.name: index for index, core in enumerate(program.cores)}
    rows = [_target_row(numbers, target, program.input_shape) for target in program.inputs]
    for core in program.cores:
        rows += [_target_row(numbers, target, core.output_shape) for target in core.destinations]
    return np.array(rows, np.int64).reshape(-1, TARGET_FIELDS)


def _target_row(
    numbers: Mapping[str, int], target: Destination, shape: tuple[int, int, int]
) -> list[int]:
    fields = {
        Target.CORE: numbers[target.layer],
        Target.POOLING: target.pooling,
        Target.HEIGHT: shape[1] // target.pooling,
        Target.WIDTH: shape[2] // target.pooling,
    }
    return [fields[column] for column in Target]


def _phase_columns(core: SpeckCore) -> list[list[int]]:
    """Kernel columns by phase, each phase from the last column to the first."""
    width, stride = core.weight.shape[3], core.stride[1]
    return [list(range(width))[phase::stride][::-1] for phase in range(stride)]


def _phases(core: SpeckCore) -> Array:
    """(columns, first column in the stored order) of each phase, flat."""
    sizes = [len(columns) for columns in _phase_columns(core)]
    pairs = [(size, sum(sizes[:phase])) for phase, size in enumerate(sizes)]
    return np.array(pairs, np.int64).ravel()


def _event_order(core: SpeckCore) -> Array:
    """Weights as [input channel][kernel y][phase][kernel x reversed][output channel], flat."""
    columns = [column for phase in _phase_columns(core) for column in phase]
    return core.weight.transpose(1, 2, 3, 0)[:, :, columns].ravel()


def _bias_line(core: SpeckCore) -> Array:
    """The biases of one line of neurons [x][channel]."""
    assert core.bias is not None
    return np.tile(core.bias, core.output_shape[2])

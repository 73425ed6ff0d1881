"""What is wrong with a Speck core or program, as short facts: the checks of their constructors."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from toolchain.chips.speck.program import SpeckCore, SpeckProgram

__all__ = [
    "RANGES",
    "as_int",
    "as_ints",
    "by",
    "of_arrays",
    "of_program",
    "of_scalars",
    "of_shapes",
    "of_wiring",
]

RANGES: dict[str, type[np.signedinteger[Any]]] = {
    "weight": np.int8,
    "bias": np.int16,
    "initial": np.int16,
}
"""The arrays of a core and the integer type of each."""


def of_scalars(core: SpeckCore) -> Iterator[str]:
    """Numbers of one core that are not integers or out of range."""
    for label, value, length, lowest in (
        ("stride", core.stride, 2, 1),
        ("padding", core.padding, 2, 0),
        ("input_shape", core.input_shape, 3, 1),
    ):
        ints = as_ints(value, length)
        if ints is None or min(ints) < lowest:
            yield f"{label} must be {length} integers >= {lowest}, got {value!r}"
    high, low = as_int(core.threshold_high), as_int(core.threshold_low)
    if high is None or not 1 <= high < 2**31:
        yield f"threshold_high must be an integer >= 1, got {core.threshold_high!r}"
    if low is None or not -(2**31) <= low <= 0:
        yield f"threshold_low must be an integer <= 0, got {core.threshold_low!r}"
    index = 0 if core.core is None else as_int(core.core)
    if index is None or index < 0:
        yield f"core must be an integer >= 0 or None, got {core.core!r}"


def of_arrays(core: SpeckCore) -> Iterator[str]:
    """Arrays of one core that are not integers or out of range."""
    for part, dtype in RANGES.items():
        value = getattr(core, part)
        if value is None and part != "weight":
            continue
        array = np.asarray(value)
        if array.dtype.kind not in "iu":
            yield f"{part} must hold integers, got {array.dtype}"
        elif array.size and not _within(array, dtype):
            limits = np.iinfo(dtype)
            yield (
                f"{part} must stay in {limits.min}..{limits.max}, got {array.min()}..{array.max()}"
            )
    shape = np.shape(core.weight)
    if len(shape) != 4 or 0 in shape:
        yield f"weight must have shape (outputs, inputs, y, x), got {shape}"


def of_shapes(core: SpeckCore) -> Iterator[str]:
    """Shapes of one core that disagree; for a core without the faults above."""
    outputs, inputs = core.weight.shape[:2]
    if inputs != core.input_shape[0]:
        yield f"weight takes {inputs} input channels, input_shape has {core.input_shape[0]}"
    if core.bias is not None and core.bias.shape != (outputs,):
        yield f"bias must have shape ({outputs},), got {core.bias.shape}"
    if min(core.output_shape) < 1:
        yield (
            f"a {by(core.weight.shape[2:])} kernel does not fit on a "
            f"{by(core.input_shape[1:])} map padded by {by(core.padding)}"
        )
    elif core.initial is not None and core.initial.shape != core.output_shape:
        yield f"initial must have shape {core.output_shape}, got {core.initial.shape}"


def of_program(program: SpeckProgram) -> Iterator[str]:
    """Faults of a program that concern no connection."""
    shape = as_ints(program.input_shape, 3)
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


def of_wiring(program: SpeckProgram) -> Iterator[str]:
    """Connections of a program that lead nowhere, backwards, or past a core."""
    order = {core.name: index for index, core in enumerate(program.cores)}
    reached = set()
    for index, (source, targets) in enumerate(
        [("input", program.inputs), *((core.name, core.destinations) for core in program.cores)]
    ):
        for target in targets:
            if target.layer not in order:
                yield f"{source} sends spikes to unknown core {target.layer!r}"
            elif order[target.layer] < index:
                yield f"{source} sends spikes to {target.layer!r}, which is not after it"
            reached.add(target.layer)
    if deaf := [name for name in order if name not in reached]:
        yield f"nothing is sent to: {', '.join(deaf)}"
    for name in program.outputs:
        if name not in order:
            yield f"unknown output {name!r}"
        elif not program.cores[order[name]].monitor:
            yield f"output {name!r} is not monitored"


def as_int(value: object) -> int | None:
    """``value`` if it is an integer of Python or numpy; a truth value is none."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def as_ints(values: Iterable[Any], length: int) -> tuple[int, ...] | None:
    """``length`` integers as plain Python ones, or None."""
    try:
        ints = [as_int(value) for value in values]
    except TypeError:
        return None
    good = [value for value in ints if value is not None]
    return tuple(good) if len(good) == len(ints) == length else None


def _within(array: npt.NDArray[Any], dtype: type[np.signedinteger[Any]]) -> bool:
    limits = np.iinfo(dtype)
    return bool(array.min() >= limits.min and array.max() <= limits.max)


def by(shape: Iterable[int]) -> str:
    """``(2, 34, 34)`` as ``2x34x34``."""
    return "x".join(map(str, shape))

"""Value ranges of the core's registers, and checks of every field of a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from toolchain.arrays import has_masked
from toolchain.chips.xylo.options import ReadoutState

__all__ = [
    "CAPS",
    "REGISTERS",
    "SHIFTS",
    "RegisterRange",
    "alias_targets",
    "integers",
    "refusal",
    "scalar_faults",
    "shape_faults",
]


@dataclass(frozen=True, slots=True)
class RegisterRange:
    """Axes of one array of the program, its least and greatest value, type and field width.

    Source: the ranges are those of the int8, int16 and 4-bit fields of the Xylo register and
    memory maps (rockpool's documentation of the family); xylosim takes the same thresholds.
    """

    axes: str
    low: int
    high: int
    dtype: type[np.signedinteger[Any]]
    field: str


WEIGHT = (-128, 127, np.int8, "8 bit")
DASH = (0, 15, np.int8, "4 bit, for time constants up to 32 768 steps")
WORD = (-32768, 32767, np.int16, "16 bit")
REGISTERS = {
    "weights_in": RegisterRange("inputs hidden synapses", *WEIGHT),
    "weights_rec": RegisterRange("hidden hidden synapses", *WEIGHT),
    "weights_out": RegisterRange("hidden outputs", *WEIGHT),
    "dash_mem": RegisterRange("hidden", *DASH),
    "dash_syn": RegisterRange("hidden", *DASH),
    "dash_syn_2": RegisterRange("hidden", *DASH),
    "dash_mem_out": RegisterRange("outputs", *DASH),
    "dash_syn_out": RegisterRange("outputs", *DASH),
    "threshold": RegisterRange("hidden", *WORD),
    "threshold_out": RegisterRange("outputs", *WORD),
    "bias": RegisterRange("hidden", *WORD),
    "bias_out": RegisterRange("outputs", *WORD),
}
# A shift of 16 or more clears a 16-bit word. The chips' fields have 3 bits (0..7), which the rules
# check.
SHIFTS = dict.fromkeys(("weight_shift_in", "weight_shift_rec", "weight_shift_out"), (0, 15))
CAPS = dict.fromkeys(("max_input_spikes", "max_hidden_spikes", "max_output_spikes"), (1, 127))

MASKED = "has masked values; give an array without a mask"


def refusal(chip: str, faults: Iterable[str]) -> ValueError:
    """Return a ValueError with every fault under one headline."""
    return ValueError("\n  ".join([f"this is not a valid {chip} program:", *faults]))


def integers(name: str, value: Any, faults: list[str]) -> npt.NDArray[Any]:
    """Return ``value`` as an array; add a fault if it is out of its register's range."""
    register = REGISTERS[name]
    if has_masked(value):
        faults.append(f"{name}: {MASKED}")
    array = np.asarray(value)
    large = array.dtype == object and all(type(each) is int for each in array.flat)
    if array.dtype.kind not in "iuf" and not large:
        faults.append(f"{name}: must hold integers, got {array.dtype}")
        return array
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (np.trunc(array) == array)
        if not whole.all():
            faults.append(
                f"{name}: must hold whole numbers, got {array[~whole][0]:g}{_which(~whole)}"
            )
            return array
    outside = (array < register.low) | (array > register.high)
    if outside.any():
        faults.append(
            f"{name}: must be in {register.low}..{register.high} ({register.field}), got "
            f"{array.min():g}..{array.max():g}{_which(outside)}"
        )
    return array


def _which(wrong: npt.NDArray[np.bool_]) -> str:
    """Return the number of wrong values and the position of the first."""
    first = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
    return f" ({int(wrong.sum())} of {wrong.size} values, the first at [{first}])"


def shape_faults(arrays: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Return faults of shapes; ``weights_in`` and ``weights_out`` give the sizes."""
    first, last = arrays["weights_in"].shape, arrays["weights_out"].shape
    if len(first) != 3 or first[2] not in (1, 2) or 0 in first:
        return [f"weights_in: must be (inputs, hidden, 1 or 2), none empty, got shape {first}"]
    if len(last) != 2 or 0 in last:
        return [f"weights_out: must be (hidden, outputs), none empty, got shape {last}"]
    sizes = dict(zip(("inputs", "hidden", "synapses"), first, strict=True), outputs=last[1])
    faults = []
    for name, register in REGISTERS.items():
        wanted = tuple(sizes[axis] for axis in register.axes.split())
        if arrays[name].shape != wanted:
            axes = ", ".join(register.axes.split())
            faults.append(f"{name}: must be ({axes}) = {wanted}, got shape {arrays[name].shape}")
    return faults


def scalar_faults(program: Mapping[str, Any]) -> list[str]:
    """Return faults of the fields of a program that are not arrays."""
    faults = []
    for name, (low, high) in (SHIFTS | CAPS).items():
        value = program[name]
        if isinstance(value, bool) or not np.isscalar(value) or value not in range(low, high + 1):
            faults.append(f"{name}: must be a whole number in {low}..{high}, got {value!r}")
    if program["core"] not in ("v1", "v2"):
        faults.append(f"core: must be 'v1' or 'v2', got {program['core']!r}")
    if program["readout"] not in get_args(ReadoutState):
        names = ", ".join(map(repr, get_args(ReadoutState)))
        faults.append(f"readout: must be one of {names}, got {program['readout']!r}")
    dt = program["dt"]
    if dt is not None and not (isinstance(dt, (int, float)) and 0 < dt < float("inf")):
        faults.append(f"dt: must be > 0 s or None, got {dt!r}")
    return faults


def alias_targets(value: Any, hidden: int, faults: list[str]) -> tuple[tuple[int, ...], ...]:
    """Return one tuple of targets for each hidden neuron; add faults."""
    if len(value) != hidden:
        faults.append(f"aliases: must have one entry a hidden neuron = {hidden}, got {len(value)}")
    for source, targets in enumerate(value):
        if wrong := [t for t in targets if t not in range(hidden)]:
            faults.append(
                f"aliases: neuron {source} names {wrong[0]!r}, hidden neurons are 0..{hidden - 1}"
            )
    return () if faults else tuple(tuple(int(t) for t in targets) for targets in value)

"""The specification dictionary of rockpool's mappers and quantizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.arrays import has_masked
from toolchain.chips.xylo.faults import MASKED, REGISTERS, SHIFTS, refusal

__all__ = ["program_fields"]

REQUIRED = (
    "weights_in",
    "weights_out",
    "dash_mem",
    "dash_syn",
    "dash_mem_out",
    "dash_syn_out",
    "threshold",
    "threshold_out",
)
SPECIFICATION = (*REGISTERS, *SHIFTS, "aliases", "dt", "readout")


def program_fields(spec: Mapping[str, Any], chip: str) -> dict[str, Any]:
    """Return the fields of ``XyloProgram`` that a specification dictionary gives.

    Raises: as :meth:`XyloProgram.from_specification`.
    """
    given = {key: value for key, value in spec.items() if key != "mapped_graph"}
    if unknown := [key for key in given if key not in SPECIFICATION]:
        raise TypeError(
            f"unknown keys {', '.join(sorted(unknown))}; a Xylo specification has "
            f"{', '.join(SPECIFICATION)}"
        )
    faults = [f"{key}: missing" for key in REQUIRED if given.get(key) is None]
    faults += [f"{key}: {MASKED}" for key, value in given.items() if has_masked(value)]
    matrices = {
        name: _matrix(name, given.get(name), faults)
        for name in ("weights_in", "weights_rec", "weights_out")
    }
    weights_in, weights_rec, weights_out = matrices.values()
    if weights_in is None or weights_out is None or faults:
        raise refusal(chip, faults)
    hidden = weights_in.shape[1] if weights_rec is None else weights_rec.shape[0]
    synapses = max(m.shape[2] for m in (weights_in, weights_rec) if m is not None)
    if synapses == 2 and given.get("dash_syn_2") is None:
        faults.append("dash_syn_2: missing, the weights have two synapses")
    for name, length in (
        ("weights_in", weights_in.shape[1]),
        ("weights_out", weights_out.shape[0]),
    ):
        if length > hidden:
            faults.append(f"{name}: reaches {length} hidden neurons, the network has {hidden}")
    if faults:
        raise refusal(chip, faults)
    if weights_rec is None:
        weights_rec = np.zeros((hidden, hidden, synapses), np.int8)
    spare = hidden - weights_in.shape[1]
    weights_in = np.pad(weights_in, ((0, 0), (0, spare), (0, synapses - weights_in.shape[2])))
    weights_rec = np.pad(weights_rec, ((0, 0), (0, 0), (0, synapses - weights_rec.shape[2])))
    # the readout is connected to the last hidden neurons, so the missing rows are the first
    weights_out = np.pad(weights_out, ((hidden - weights_out.shape[0], 0), (0, 0)))
    sizes = {"hidden": hidden, "outputs": weights_out.shape[1]}
    rest: dict[str, Any] = {
        name: _spread(given.get(name, 0), sizes[register.axes])
        for name, register in REGISTERS.items()
        if register.axes in sizes
    }
    rest |= {name: given.get(name, 0) for name in SHIFTS}
    return {
        "dt": given.get("dt"),
        "readout": given.get("readout") or "spikes",
        "weights_in": weights_in,
        "weights_rec": weights_rec,
        "weights_out": weights_out,
        **rest,
        "aliases": given["aliases"] if given.get("aliases") is not None else ((),) * hidden,
    }


def _matrix(name: str, value: Any, faults: list[str]) -> npt.NDArray[Any] | None:
    """Return ``value`` with its synapse axis; None if it is missing or not a matrix."""
    if value is None:
        return None
    try:
        array = np.asarray(value)
    except ValueError:
        faults.append(f"{name}: has rows of different length")
        return None
    if name == "weights_out":
        if array.ndim == 3 and array.shape[2] == 1:
            return array[..., 0]
        if array.ndim != 2:
            faults.append(f"{name}: must be (hidden, outputs), got shape {array.shape}")
        return array
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (2,)):
        faults.append(
            f"{name}: must be (pre, post) or (pre, post, 1 or 2), got shape {array.shape}"
        )
        return None
    if name == "weights_rec" and array.shape[0] != array.shape[1]:
        faults.append(f"{name}: must have as many rows as columns, got shape {array.shape}")
    return array if array.ndim == 3 else array[:, :, None]


def _spread(value: Any, length: int) -> npt.NDArray[Any]:
    """Return one value for all neurons, or ``value`` as given; the program checks its length."""
    array = np.asarray(0 if value is None else value)
    return np.broadcast_to(array, (length,)) if array.ndim == 0 or array.shape == (1,) else array

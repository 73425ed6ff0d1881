"""Checks of the input of a Xylo simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.xylo.program import XyloProgram
from toolchain.runs.spikes import plain_array

__all__ = ["as_counts"]


def as_counts(program: XyloProgram, raster: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return ``raster`` as contiguous counts ``(B, T, Nin)``, copied only if needed.

    Raises:
        ValueError: it is not an array of counts that the program's input accepts.
    """
    limit = program.max_input_spikes
    single = type(raster) is np.ndarray and raster.ndim == 2
    plain: Any = raster[None] if single else raster  # type: ignore[call-overload,index]
    if _are_small(plain, program.inputs, limit):
        return plain  # type: ignore[no-any-return]
    array = plain_array(raster, "raster")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"raster must hold spike counts, got an array of type {array.dtype}")
    if array.ndim not in (2, 3):
        raise ValueError(
            f"raster must be (time, channels) or (batch, time, channels), got shape {array.shape}"
        )
    if array.shape[-1] != program.inputs:
        raise ValueError(
            f"raster must have {program.inputs} channels, the inputs of this program, "
            f"got shape {array.shape}"
        )
    if array.ndim == 2:
        array = array[None]
    if array.size and not _all_counts(array, limit):
        raise ValueError(_count_fault(array, limit, program.chip))
    # numba would compile the kernel a second time for arrays that are read-only
    return np.require(array, dtype=np.uint8, requirements=["C", "W"])


def _are_small(raster: Any, inputs: int, limit: int) -> bool:
    """Return whether ``raster`` is what the kernel takes, as that of an online loop often is."""
    return (
        type(raster) is np.ndarray
        and raster.dtype == np.uint8
        and raster.ndim == 3
        and raster.shape[2] == inputs
        and raster.flags.c_contiguous
        and raster.flags.writeable
        and (not raster.size or bool(np.maximum.reduce(raster, axis=None) <= limit))
    )


def _all_counts(array: npt.NDArray[Any], limit: int) -> bool:
    """Return whether every value is a whole number in ``0 .. limit``."""
    kind = array.dtype.kind
    # comparisons with NaN are false, so that NaN and infinities fail here too
    inside = kind == "b" or (array.min() >= 0 and array.max() <= limit)
    return bool(inside and (kind != "f" or (np.trunc(array) == array).all()))


def _count_fault(array: npt.NDArray[Any], limit: int, chip: str) -> str:
    """Return the fault of the first value that is not a count, with its position."""
    with np.errstate(invalid="ignore"):
        good = (array >= 0) & (array <= limit) & (np.trunc(array) == array)
    where = tuple(int(i) for i in np.argwhere(~good)[0])
    value = array[where]
    place = f"channel {where[2]}, step {where[1]}, sample {where[0]}"
    if not np.isfinite(value) or value < 0 or np.trunc(value) != value:
        return f"raster must hold whole numbers of spikes, 0 or more, got {value:g} at {place}"
    return (
        f"raster has {value:g} spikes at {place}; {chip} supports at most {limit} per channel and "
        "step"
    )

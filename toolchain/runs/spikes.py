"""Input spikes of the user: counts a timestep, or events with a time and an address."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from toolchain.arrays import Array, Shape, has_masked
from toolchain.ir import Graph

__all__ = [
    "InputSpikes",
    "are_events",
    "as_array",
    "check_unmasked",
    "expected",
    "fitted",
    "plain_array",
    "plain_axes",
]

InputSpikes: TypeAlias = Array | Sequence[Array]
"""Counts (batch, time, *features); or, for a chip that takes events, structured arrays of events
with fields ``x, y, t, p`` (column, row, µs, channel), one or a list of them, one a sample.
"""


def are_events(spikes: Any) -> TypeGuard[InputSpikes]:
    """Return whether ``spikes`` is a structured array, or a list or tuple that contains one."""
    if isinstance(spikes, np.ndarray):
        return spikes.dtype.names is not None
    parts = spikes if isinstance(spikes, list | tuple) else ()
    return any(isinstance(part, np.ndarray) and part.dtype.names is not None for part in parts)


def fitted(graph: Graph, spikes: Any, what: str) -> Array:
    """Return counts with the axes of length 1 that the graph's input has.

    Raises:
        ValueError: they have another shape or are no real numbers; the message begins with
            ``what``.
    """
    array, kind = as_array(spikes, what), type(spikes).__name__
    wanted = graph.shape(graph.input)
    if array.ndim < 2 or plain_axes(array.shape[2:]) != plain_axes(wanted):
        got = f"shape {array.shape}" if array.ndim else kind
        raise ValueError(
            f"{what} must be {expected(wanted)}, got {got}{_remedy(array.shape, wanted, what)}"
        )
    return np.asarray(array.reshape(*array.shape[:2], *wanted))


def expected(features: Shape, *, batch: bool = True) -> str:
    """Return the axes of an input as text.

    >>> expected((2, 16, 16)), expected((12,), batch=False)
    ('(batch, time, 2, 16, 16)', '(time, 12)')
    """
    return f"({', '.join(['batch'] * batch + ['time', *map(str, features)])})"


def plain_axes(shape: Shape) -> Shape:
    """Return a shape without its axes of length 1, which may be left out or added.

    >>> plain_axes((12, 1, 1))
    (12,)
    """
    return tuple(size for size in shape if size != 1)


def _remedy(shape: Shape, wanted: Shape, what: str) -> str:
    """Return what gives an array of this shape the axes of an input; empty if nothing does."""
    plain, axes = plain_axes(wanted), len(wanted)
    sizes = ", ".join(map(str, wanted))
    if len(shape) > 1 and plain_axes(shape[1:]) == plain:
        return f"; if it is one recording (time, ...), give {what}[None]"
    if len(shape) == axes + 2 and shape[1:-1] == wanted:
        return f"; if its axes are (batch, {sizes}, time), move the last to position 1"
    if len(shape) == axes + 2 == 5 and shape[2:] == (*wanted[1:], wanted[0]):
        return "; if its last axis is the channel, move it to position 2"
    if len(shape) == 3 and axes > 1 and shape[2] == prod(wanted):
        return f"; if its features are flattened, give {what}.reshape(*{what}.shape[:2], {sizes})"
    return ""


def as_array(spikes: Any, what: str) -> Array:
    """Return an array, a tensor on any device, a sparse matrix or nested lists as an array.

    Narrow floats become float64, since their sums are not exact: in float16 2048 + 1 is 2048.

    Raises:
        ValueError: it is no array of real numbers, or has masked values; the message begins with
            ``what``.
    """
    array = plain_array(spikes, what)
    if array.dtype.kind not in "biuf":
        kind = type(spikes).__name__
        got = f"{kind} of dtype {array.dtype}" if array.ndim else f"{kind} {spikes!r:.40}"
        raise ValueError(f"{what} must be an array of spike counts, got {got}")
    return array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array


def plain_array(spikes: Any, what: str) -> Array:
    """Return what ``as_array`` takes as an array of its own element type, of any kind.

    Raises:
        ValueError: it cannot become an array, or has masked values.

    >>> plain_array([np.ma.array([1, 2], mask=[0, 1])], "raster")
    Traceback (most recent call last):
    ValueError: raster has masked values, which are no counts; give raster.filled(0)
    """
    check_unmasked(spikes, what)
    try:
        return _converted(spikes)
    except (TypeError, ValueError, RuntimeError, MemoryError) as fault:
        reason = str(fault).partition("\n")[0]
        raise ValueError(f"{what} cannot become an array: {reason}") from fault


def check_unmasked(spikes: Any, what: str) -> None:
    """Check that an array, or one in a list, has no masked values; ValueError otherwise."""
    if isinstance(spikes, list | tuple):
        for each in spikes:
            if not isinstance(each, int | float):
                check_unmasked(each, what)
    elif has_masked(spikes):
        if spikes.dtype.names is not None:
            raise ValueError(f"{what} has masked events; give those alone that are not masked")
        raise ValueError(f"{what} has masked values, which are no counts; give {what}.filled(0)")


def _converted(spikes: Any) -> Array:
    if hasattr(spikes, "detach"):
        # a tensor with gradients or of an accelerator cannot become an array itself
        if getattr(spikes, "is_meta", False):
            raise ValueError("it is on the device 'meta' and has no values")
        tensor = spikes.detach().cpu()
        if "sparse" in str(getattr(tensor, "layout", "")):
            tensor = tensor.to_dense()
        # bfloat16 has no counterpart in numpy; every value of it is one of float32
        return np.asarray(tensor.float() if "bfloat16" in str(tensor.dtype) else tensor)
    if hasattr(spikes, "toarray"):
        return np.asarray(spikes.toarray())
    return np.asarray(spikes)

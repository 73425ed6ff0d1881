"""Input spikes of the user: counts a timestep, or events with a time and an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph

__all__ = ["InputSpikes", "are_events", "fitted"]

InputSpikes: TypeAlias = Array | Sequence[Array]
"""Counts (batch, time, *features); or, for a chip that takes events, structured arrays of events
with fields ``x, y, t, p`` (column, row, µs, channel), one or a list of them, one a sample.
"""


def are_events(spikes: Any) -> TypeGuard[InputSpikes]:
    """Return whether ``spikes`` is a structured array, or a list or tuple that contains one."""
    parts = spikes if isinstance(spikes, list | tuple) else [spikes]
    return any(isinstance(part, np.ndarray) and part.dtype.names is not None for part in parts)


def fitted(graph: Graph, spikes: Any, what: str) -> Array:
    """Return counts with the axes of length 1 that the graph's input has.

    Raises:
        ValueError: they have another shape; the message begins with ``what``.
    """
    kind = type(spikes).__name__
    spikes = _as_array(spikes, what)
    if spikes.dtype.kind == "f":  # sums of narrow floats are not exact: 2048 + 1 is 2048
        spikes = spikes.astype(np.float64, copy=False)
    wanted = graph.shape(graph.input)
    plain = tuple(size for size in wanted if size != 1)
    if spikes.ndim < 2 or tuple(size for size in spikes.shape[2:] if size != 1) != plain:
        got = f"shape {spikes.shape}" if spikes.ndim else kind
        raise ValueError(f"{what} must be (batch, time, {', '.join(map(str, wanted))}), got {got}")
    return np.asarray(spikes.reshape(*spikes.shape[:2], *wanted))


def _as_array(spikes: Any, what: str) -> Array:
    """Return an array, a tensor on any device or nested lists as an array."""
    try:
        # a tensor with gradients or of an accelerator cannot become an array itself
        return np.asarray(spikes.detach().cpu() if hasattr(spikes, "detach") else spikes)
    except (TypeError, ValueError, RuntimeError) as fault:
        raise ValueError(f"{what} cannot become an array: {fault}") from fault

"""Input spikes in the form that a graph or a chip takes."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family
from toolchain.ir import Graph
from toolchain.runs.spikes import InputSpikes, are_events, fitted

__all__ = ["checked_counts", "counts_of"]


def counts_of(family: Family, graph: Graph, spikes: InputSpikes, what: str) -> Array:
    """Return ``spikes`` as counts in the shape of the graph's input.

    Args:
        family: of the chip; decides whether event arrays are accepted.
        graph: gives the shape and the length of a timestep.
        spikes: counts or event arrays.
        what: name of the argument, for messages.

    Raises:
        ValueError: they have another shape, or are event arrays that cannot be counted.
    """
    if are_events(spikes):
        if "event" not in family.TIMINGS:
            raise ValueError(
                f"{what} must be counts (batch, time, *features): this chip accepts no event arrays"
            )
        if graph.dt is None:
            raise ValueError("event arrays need the length of a timestep: deploy with dt=... in s")
        spikes = family.counts(spikes, graph.shape(graph.input), graph.dt)
    return fitted(graph, spikes, what)


def checked_counts(counts: Array, what: str) -> Array:
    """Return ``counts`` (batch, time, *features) if they are spike counts of some timesteps.

    Args:
        counts: any numbers.
        what: name of the argument, for messages.

    Raises:
        ValueError: there is no sample or no timestep, or a number is negative or not whole; the
            message gives the first.

    >>> checked_counts(np.zeros((0, 20, 4)), "spikes")
    Traceback (most recent call last):
    ValueError: spikes has shape (0, 20, 4), which has no timestep: give at least one sample
    >>> checked_counts(np.array([[[0.5]]]), "spikes")
    Traceback (most recent call last):
    ValueError: spikes must be whole numbers >= 0, got 0.5 at sample 0, step 0, feature (0,)
    """
    if not counts.size:
        raise ValueError(
            f"{what} has shape {counts.shape}, which has no timestep: give at least one sample"
        )
    if counts.dtype.kind not in "biuf":
        raise ValueError(f"{what} must be spike counts, got an array of type {counts.dtype}")
    if counts.dtype.kind in "if" and not _whole(counts):
        good = (counts >= 0) & (np.floor(counts) == counts)
        sample, step, *feature = map(int, np.argwhere(~good)[0])
        place = f"sample {sample}, step {step}, feature {tuple(feature)}"
        value = counts[(sample, step, *feature)]
        raise ValueError(f"{what} must be whole numbers >= 0, got {value:g} at {place}")
    return counts


def _whole(counts: Array) -> bool:
    """Return whether all numbers are counts; NaN fails the first comparison."""
    if not counts.min() >= 0:
        return False
    return counts.dtype.kind == "i" or bool((np.floor(counts) == counts).all())

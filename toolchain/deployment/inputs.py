"""Input spikes in the form that a graph or a chip takes."""

from __future__ import annotations

from toolchain.arrays import Array
from toolchain.chips.contract import Family
from toolchain.ir import Graph
from toolchain.runs.spikes import InputSpikes, are_events, fitted

__all__ = ["counts_of"]


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

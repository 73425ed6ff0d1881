"""Input spikes in the form that a graph or a chip takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family
from toolchain.deployment.values import check_counts
from toolchain.ir import Graph
from toolchain.report import plural
from toolchain.runs.collect import MOST_BYTES, Collected, collect
from toolchain.runs.spikes import are_events, fitted

__all__ = ["collected", "counts_of", "for_quantizer", "one_array", "some_steps"]


def collected(family: Family, graph: Graph, spikes: Any, what: str) -> Collected:
    """Collect ``spikes`` of any form as counts in the shape of the graph's input.

    Args:
        family: of the chip; decides whether event arrays are accepted.
        graph: gives the shape and the length of a timestep.
        spikes: counts or event arrays, or a list, loader or generator of these; see ``collect``.
        what: name of the argument, for messages.

    Raises:
        ValueError: they have another shape, or are event arrays that cannot be counted.
    """
    if isinstance(spikes, memoryview):
        spikes = np.asarray(spikes)
    events, notes, rest = _events(graph, spikes, what)
    if events is None:
        return collect(graph, rest, what, kind=type(spikes).__name__)
    if "event" not in family.TIMINGS:
        raise ValueError(
            f"{what} must be counts (batch, time, *features): this chip accepts no event arrays"
        )
    counts = family.counts(events, graph.shape(graph.input), _dt(graph))
    counts = fitted(graph, counts, what)
    return Collected(groups=(counts,), given=(), notes=notes, complete=not notes)


def counts_of(family: Family, graph: Graph, spikes: Any, what: str) -> Array:
    """Return ``spikes`` as one array of counts in the shape of the graph's input.

    Args:
        family, graph, spikes, what: see ``collected``.

    Raises:
        ValueError: as for ``collected``; or recordings of different length, or more than is kept
            of a loader.
    """
    return one_array(collected(family, graph, spikes, what), what)


def one_array(result: Collected, what: str) -> Array:
    """Return recordings of one length as one array.

    Raises:
        ValueError: recordings of different length, or more than is kept of a loader.
    """
    if len(result.groups) > 1:
        raise ValueError(
            f"{what} must be recordings of one length, got {result.sizes()}; give them one by "
            "one, each as recording[None], or pad them with silence by np.pad"
        )
    if not result.complete:
        raise ValueError(f"{result.notes[-1]}; give {what} part by part")
    return result.groups[0]


def some_steps(counts: Array, what: str) -> Array:
    """Return ``counts`` (batch, time, *features) if there is a timestep.

    Raises:
        ValueError: there is no sample, or no timestep.

    >>> some_steps(np.zeros((0, 20, 4)), "spikes")
    Traceback (most recent call last):
    ValueError: spikes has shape (0, 20, 4), which has no timestep: give at least one sample
    """
    if not counts.size:
        raise ValueError(
            f"{what} has shape {counts.shape}, which has no timestep: give at least one sample"
        )
    return counts


def for_quantizer(family: Family, graph: Graph, calibration: Collected) -> Array:
    """Return calibration counts in one array, in the shape of the input of ``graph``.

    Recordings of different length are cut to one length; see ``Collected.excerpt``.

    Raises:
        ValueError: no timestep, or values that the chip does not take.
    """
    for group in calibration.groups:
        if not group.size:
            raise ValueError(
                f"calibration has shape {group.shape}, which has no timestep: give at least one "
                "sample, or omit calibration="
            )
        check_counts(group, "calibration", family)
    counts = calibration.excerpt()
    return counts.reshape(*counts.shape[:2], *graph.shape(graph.input))


def _events(
    graph: Graph, spikes: Any, what: str
) -> tuple[list[Array] | None, tuple[str, ...], Any]:
    """Return event arrays, a note on what was left out, and ``spikes`` if they are none.

    A loader or generator is read as far as its counts fit into ``MOST_BYTES``.
    """
    if isinstance(spikes, np.ndarray | Collected) or hasattr(spikes, "dtype"):
        return (_if_events([spikes]), (), spikes)
    if isinstance(spikes, list | tuple):
        return _if_events([_first(each) for each in spikes]), (), spikes
    if isinstance(spikes, str | Mapping) or not isinstance(spikes, Iterable):
        return None, (), spikes
    elements = iter(spikes)
    start = next(elements, None)
    rest = elements if start is None else chain([start], elements)
    if not are_events(_first(start)):
        # an iterator gives its first element only once
        return None, (), rest if elements is spikes else spikes
    return (*_bounded(graph, map(_first, rest), what), spikes)


def _if_events(given: list[Any]) -> list[Array] | None:
    return given if any(map(are_events, given)) else None


def _bounded(
    graph: Graph, arrays: Iterable[Array], what: str
) -> tuple[list[Array], tuple[str, ...]]:
    """Return the first event arrays, whose counts fit into ``MOST_BYTES``, and a note."""
    kept: list[Array] = []
    size, per_step = 0.0, 4 * prod(graph.shape(graph.input)) / (1e6 * _dt(graph))
    for array in arrays:
        named = are_events(array) and array.size and "t" in (array.dtype.names or ())
        size += per_step * (float(array["t"].max()) if named else 0.0)
        if kept and size > MOST_BYTES:
            first = plural(len(kept), "recording")
            note = f"the first {first} of {what} were read; the rest was left out, since at most "
            return kept, (f"{note}{MOST_BYTES // 2**20} MiB of counts are kept",)
        kept.append(array)
    return kept, ()


def _first(element: Any) -> Any:
    """Return the event array of a pair, such as one with a label; anything else unchanged."""
    pair = isinstance(element, list | tuple) and len(element) > 1
    return element[0] if pair and are_events(element[0]) else element


def _dt(graph: Graph) -> float:
    if graph.dt is None:
        raise ValueError("event arrays need the length of a timestep: deploy with dt=... in s")
    return graph.dt

"""Spikes and labels apart, out of a data set, a loader or a list of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph
from toolchain.report import brief
from toolchain.runs.collect import collect
from toolchain.runs.spikes import are_events

__all__ = ["separated"]


def separated(graph: Graph, data: Any, labels: Any) -> tuple[Any, Any]:
    """Return spikes and labels.

    Args:
        graph: the network, which tells a recording from a batch of them.
        data: spikes; or, without ``labels``, a pair of spikes and labels, or a data set, loader or
            list of pairs, each of a recording with its label or of a batch with its labels.
        labels: labels of the spikes, or None.

    Returns:
        Both as given; of pairs, a list of their spikes, and one array of all labels. The labels
        are None where there are none.

    Raises:
        ValueError: labels that do not belong to their spikes.
    """
    if labels is not None or _is_array(data) or isinstance(data, str | bytes):
        return data, labels
    if _is_pair(data):
        return data[0], data[1]
    try:
        elements = [*_elements(data)]
    except TypeError:
        return data, None
    if elements and isinstance(elements[0], Mapping):
        keys = [repr(key) for key in elements[0]]
        raise ValueError(
            f"element 0 of data is a dict with keys {', '.join(keys)}; give pairs of spikes and "
            f"labels, as in [(each[{keys[0]}], each[{keys[-1]}]) for each in data]"
        )
    if not elements or not all(map(_is_pair, elements)):
        return elements, None
    rows = [
        _rows(graph, part, own, f"element {number} of data")
        for number, (part, own) in enumerate(elements)
    ]
    try:
        joined = np.concatenate(rows)
    except ValueError:
        raise ValueError(
            f"labels of data have different shapes, {rows[0].shape[1:]} and others; give all of "
            "one shape"
        ) from None
    spikes = [part for part, _ in elements]
    if are_events(spikes[0]) and not isinstance(spikes[0], np.ndarray):
        spikes = [events for part in spikes for events in part]
    return spikes, joined


def _rows(graph: Graph, spikes: Any, own: Any, where: str) -> Array:
    """Return the labels of an element with an axis of samples."""
    array = np.asarray(own.detach().cpu() if hasattr(own, "detach") else own)
    samples = _samples(graph, spikes, where)
    if array.ndim and len(array) == samples:
        return array
    if samples == 1:
        return array[None]
    raise ValueError(
        f"{where} has {samples} samples, but labels {brief(own)}; give one label for each"
    )


def _samples(graph: Graph, spikes: Any, where: str) -> int:
    """Return the number of recordings of an element: event arrays are one each."""
    if are_events(spikes):
        return 1 if isinstance(spikes, np.ndarray) else len(spikes)
    return collect(graph, [spikes], where).samples


def _elements(data: Any) -> Iterator[Any]:
    """Yield the elements of a loader, or of a data set that only takes indices."""
    if hasattr(data, "__iter__"):
        yield from data
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        for number in range(len(data)):
            yield data[number]
    else:
        raise TypeError


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_pair(value: Any) -> bool:
    """Return whether a value is spikes together with labels."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    spikes, own = value
    if are_events(spikes):
        return not are_events(own)
    try:
        return np.ndim(spikes) > np.ndim(own)
    except (TypeError, ValueError):  # a list of parts that differ: no array of numbers
        return False

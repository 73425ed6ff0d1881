"""Check of what a simulation is asked to record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from toolchain.chips.contract import Record

__all__ = ["checked_record", "names_of"]


def checked_record(record: Any, layers: Collection[str], kinds: Sequence[str]) -> Record:
    """Return True, False or the names of what is recorded, by layer, as tuples.

    Args:
        record: as given; one name may stand alone, ``{"conv2": "spikes"}``.
        layers: names of the layers.
        kinds: names of what can be recorded of a layer.

    Raises:
        ValueError: an unknown layer or name (the message lists the valid ones), or another type.

    >>> checked_record({"conv2": "spikes"}, ["conv1", "conv2"], ("spikes", "v_mem"))
    {'conv2': ('spikes',)}
    """
    if not isinstance(record, Mapping):
        if not isinstance(record, bool | int | np.bool_) or record not in (True, False):
            raise ValueError(
                f'record must be True, False, or names by layer, {{"layer": ("spikes",)}}, '
                f"got {record!r:.80}"
            )
        return bool(record)
    found: dict[str, tuple[str, ...]] = {}
    for layer, names in record.items():
        if layer not in layers:
            raise ValueError(
                f"record names layer {layer!r}; the layers are {', '.join(sorted(layers))}"
            )
        wanted = names_of(names, layer)
        for name in wanted:
            if name not in kinds:
                raise ValueError(
                    f"record of {layer!r} names {name!r}; a layer has {', '.join(kinds)}"
                )
        found[layer] = wanted
    return found


def names_of(names: Any, layer: object) -> tuple[str, ...]:
    """Return what is recorded of a layer, given as one name or several, as a tuple.

    Raises:
        ValueError: anything else.
    """
    if isinstance(names, str):
        return (names,)
    found = tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) for name in found):
        raise ValueError(f"record of {layer!r} must be names such as 'spikes', got {names!r:.80}")
    return found

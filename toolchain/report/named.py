"""One of several entries by its name, as results offer it in square brackets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["entry_named"]

T = TypeVar("T")


def entry_named(name: str, entries: Iterable[tuple[str, T]]) -> T:
    """Return the entry of layer ``name``.

    Args:
        name: of the layer.
        entries: pairs of a layer's name and its entry; the first of a name
            counts.

    Raises:
        KeyError: there is no such layer; the message lists the names.

    >>> entry_named("lif2", [("lif1", 0.9), ("lif2", 0.8)])
    0.8
    """
    names = []
    for own, entry in entries:
        if own == name:
            return entry
        names.append(own)
    raise KeyError(f"no layer {name!r}; there are {', '.join(names)}")

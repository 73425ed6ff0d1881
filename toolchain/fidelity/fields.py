"""Nodes compared field by field, and their fields as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from toolchain.fidelity.ledger import Change, Value
from toolchain.ir import Graph, Node

__all__ = ["by_layer", "differing", "finite", "value_of"]


def by_layer(
    graph: Graph, told: Callable[[str, Node], Iterator[Change]]
) -> dict[str, list[Change]]:
    """What is told of each node, of those of which anything is."""
    found = {name: [*told(name, node)] for name, node in graph.nodes.items()}
    return {name: changes for name, changes in found.items() if changes}


def differing(node: Node, other: Node) -> Iterator[str]:
    """Fields that both have and that differ, but for axes of length 1; shapes are not fields."""
    mine, theirs = node.parameters(), other.parameters()
    for field, old in mine.items():
        if field != "shape" and field in theirs and not _same(old, theirs[field]):
            yield field


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        if old.size != new.size:
            uniform = bool(np.all(old == new.flat[0])) if new.size else not old.size
            return uniform and bool(np.all(new == new.flat[0]))
        return np.array_equal(old.ravel(), new.ravel())
    return type(old) is type(new) and bool(old == new)


def value_of(value: Any) -> Value:
    """A field as data: a number where all neurons share one, ``0.1 to 0.3``, or its text."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if not isinstance(value, np.ndarray):
        return str(value)
    if not value.size:
        return None
    low, high = float(value.min()), float(value.max())
    if f"{low:.3g}" == f"{high:.3g}":
        return finite(low)
    return f"{low:.3g} to {high:.3g}"


def finite(value: float) -> Value:
    """A number, or a word for what JSON has no number for."""
    return value if np.isfinite(value) else "infinite"

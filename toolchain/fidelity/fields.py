"""Comparison of nodes field by field, and fields as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.fidelity.ledger import Change, Fidelity, FieldValue
from toolchain.ir import Conv2d, Graph, Linear, Node, time_constant

__all__ = [
    "DECAYS",
    "EXACT",
    "WEIGHTS",
    "DecayNote",
    "by_layer",
    "differing",
    "field_change",
    "moved",
    "row_scales",
    "tau_change",
    "value_of",
]

DECAYS = ("alpha_mem", "alpha_syn")
"""Fields of a membrane that the ledger reports as time constants."""

WEIGHTS = (Linear, Conv2d)
EXACT = 1e-9
"""Relative difference up to which integers are a multiple of the trained numbers."""
DecayNote: TypeAlias = Callable[[float, float], str]
"""Describes a decay factor, as trained and as on the chip; see ``Family.decay_note``."""


def by_layer(
    graph: Graph, changes_of: Callable[[str, Node], Iterator[Change]]
) -> dict[str, list[Change]]:
    """Collect the changes of each node; nodes without changes are omitted."""
    all_changes = {name: [*changes_of(name, node)] for name, node in graph.nodes.items()}
    return {name: changes for name, changes in all_changes.items() if changes}


def differing(node: Node, other: Node) -> Iterator[str]:
    """Yield the fields of both that differ, except in axes of length 1, without ``shape``."""
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


def value_of(value: Any) -> FieldValue:
    """Return a field as data: a number if all neurons share one, ``0.1 to 0.3``, or its text."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if not isinstance(value, np.ndarray):
        return str(value)
    if not value.size:
        return None
    low, high = float(value.min()), float(value.max())
    if f"{low:.3g}" == f"{high:.3g}":
        return _finite(low)
    return f"{low:.3g} to {high:.3g}"


def _finite(value: float) -> FieldValue:
    """Return a number, or text for a value that JSON cannot represent."""
    return value if np.isfinite(value) else "infinite"


def field_change(field: str, node: Node, other: Node, fidelity: Fidelity, note: str = "") -> Change:
    """Return the change of a field that needs no description of its own."""
    old, new = value_of(getattr(node, field)), value_of(getattr(other, field))
    return Change(what=field, fidelity=fidelity, before=old, after=new, note=note)


def tau_change(
    field: str, old: Array, new: Array, dt: float | None, note: DecayNote | None = None
) -> Change:
    """Return the change of a decay factor as that of a time constant.

    Of many neurons, the one that changes most.
    """
    step, unit = (1.0, "steps") if dt is None else (1e3 * dt, "ms")
    old, new = (np.ravel(alpha) for alpha in np.broadcast_arrays(old, new))
    was, now = time_constant(old, step), time_constant(new, step)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors, apart = now / was - 1, np.abs(np.log(now / was))
        shared = not np.ptp(was)
    worst = int(np.argmax(np.where(np.isnan(apart), 0.0, apart)))
    spread = not shared and bool(np.isfinite(errors).all())
    return Change(
        what=f"tau_{field.removeprefix('alpha_')}",
        fidelity=Fidelity.APPROXIMATED,
        before=_finite(float(was[worst])),
        after=_finite(float(now[worst])),
        unit=unit,
        error=float(errors[worst]) if np.isfinite(apart[worst]) else None,
        span=(float(errors.min()), float(errors.max())) if spread else None,
        note="" if note is None else note(float(old[worst]), float(new[worst])),
    )


def row_scales(node: Node, other: Node) -> Array:
    """Return for each output the factor that brings its float weights nearest to the integers."""
    assert isinstance(node, WEIGHTS)
    assert isinstance(other, WEIGHTS)
    old = node.weight.reshape(len(node.weight), -1)
    new = other.weight.reshape(len(other.weight), -1)
    squares = (old * old).sum(axis=1)
    return np.asarray((new * old).sum(axis=1) / np.where(squares > 0, squares, 1))


def moved(node: Linear | Conv2d, other: Linear | Conv2d) -> float:
    """Return the distance of the integer weights from the nearest multiple of the float ones.

    Root mean square over all rows, relative to the weights of the whole layer.
    """
    old = node.weight.reshape(len(node.weight), -1)
    new = other.weight.reshape(len(other.weight), -1)
    scale = row_scales(node, other)[:, None]
    rest = np.divide(new, scale, out=np.zeros_like(old), where=scale > 0) - old
    total = float((old * old).sum())
    return float(np.sqrt((rest**2).sum() / total)) if total else 0.0

"""Weights that a quantizer rounds to 0, by layer and by channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.fidelity.fields import WEIGHTS
from toolchain.fidelity.reach import TRAINED, can_fire
from toolchain.ir import Graph
from toolchain.report import count, plural, shown

__all__ = ["MOST_ZEROS", "rounded_away"]

MOST_ZEROS = 0.1
"""Largest part of a layer's weights that may become 0 without a warning."""

OUTLIER = 20
"""A largest weight of so many medians is named as the cause: with 127 levels, weights below a
twelfth of the median become 0."""

MOST_CHANNELS = 8
"""Layers with more channels are not listed channel by channel."""


def rounded_away(before: Graph, after: Graph) -> tuple[Diagnostic, ...]:
    """Report layers whose weights become 0: all of them, or more than ``MOST_ZEROS``.

    Losing all of them is an error, unless no neuron behind them could fire as trained either.

    Args:
        before: the float graph, input of the quantizer.
        after: the same in integers.

    >>> from toolchain.ir import Input, Linear, Neuron, Output
    >>> def network(weight):
    ...     nodes = {"input": Input(shape=(3,)), "fc": Linear(weight=weight)}
    ...     nodes |= {"lif": Neuron(shape=(2,), v_threshold=1.0), "output": Output()}
    ...     return Graph.chain(nodes)
    >>> trained = network([[100.0, 0.1, 0.2], [0.3, -0.2, 0.1]])
    >>> for finding in rounded_away(trained, network([[127, 0, 0], [0, 0, 0]])):
    ...     print(finding.message)
    5 of 6 weights become 0 (83 %; by channel 2, 3); the largest, 100, is 500 times the median
    """
    return tuple(_zeros(before, after))


def _zeros(before: Graph, after: Graph) -> Iterator[Diagnostic]:
    alive: Mapping[str, Array] | None = None
    for name, node in before.nodes.items():
        other = after[name]
        if not isinstance(node, WEIGHTS) or not isinstance(other, WEIGHTS):
            continue
        trained = node.weight != 0
        lost, weights = int((trained & (other.weight == 0)).sum()), int(trained.sum())
        if not lost or lost <= MOST_ZEROS * weights:
            continue
        severity, note = Severity.WARNING, ""
        if lost == weights:
            alive = can_fire(before, TRAINED) if alive is None else alive
            driven = before.after(name)
            if driven is not None and driven in alive and not alive[driven].any():
                note = f"; as trained {driven!r} cannot fire within {TRAINED.steps} steps either"
            else:
                severity = Severity.ERROR
        yield Diagnostic(
            rule="zero_weights",
            severity=severity,
            where=name,
            message=_message(node.weight, other.weight, lost, weights) + note,
            need=lost,
            limit=int(MOST_ZEROS * weights),
        )


def _message(trained: Array, integers: Array, lost: int, weights: int) -> str:
    if lost == weights:
        what = f"all {count(weights)} weights become 0"
    else:
        rows = ((trained != 0) & (integers == 0)).reshape(len(trained), -1).sum(axis=1)
        what = (
            f"{count(lost)} of {count(weights)} weights become 0 "
            f"({100 * lost / weights:.0f} %{_by_channel(rows, trained)})"
        )
    sizes = np.abs(trained[trained != 0])
    largest, median = float(sizes.max()), float(np.median(sizes))
    if largest > OUTLIER * median:
        what += f"; the largest, {shown(largest)}, is {shown(largest / median)} times the median"
    return what


def _by_channel(lost: Array, trained: Array) -> str:
    """Return the number of lost weights of each channel, or how many channels lose all."""
    if len(lost) <= MOST_CHANNELS:
        return f"; by channel {', '.join(map(count, lost))}" if len(lost) > 1 else ""
    weights = (trained != 0).reshape(len(lost), -1).sum(axis=1)
    empty = int(((lost == weights) & (weights > 0)).sum())
    return f"; all of {count(empty)} of {plural(len(lost), 'channel')}" if empty else ""

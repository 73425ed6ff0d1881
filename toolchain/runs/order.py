"""Effect of the order of simultaneous events on a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["OrderSpread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSpread:
    """What the order of simultaneous events does to a run, all samples together.

    Attributes:
        orders: how many were tried, the one given among them.
        fewest, most: spikes of each layer over these orders.
        decisions: share of the orders in which the most active output is that of the order given,
            0..1; None where there is a single output.
    """

    orders: int
    fewest: Mapping[str, int]
    most: Mapping[str, int]
    decisions: float | None

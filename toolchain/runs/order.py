"""Effect of the order of simultaneous events on a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolchain.report import Brief

__all__ = ["OrderSpread"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderSpread(Brief):
    """Effect of the order of simultaneous events on a run, all samples together.

    Attributes:
        orders: number of orders, including the given one.
        fewest, most: spikes of each layer over these orders.
        decisions: share of the orders in which the most active output is that of the given order,
            0..1; None if there is a single output.

    >>> spread = OrderSpread(orders=8, fewest={"if1": 90}, most={"if1": 104}, decisions=0.875)
    >>> {name: spread.most[name] - fewest for name, fewest in spread.fewest.items()}
    {'if1': 14}
    """

    orders: int
    fewest: Mapping[str, int]
    most: Mapping[str, int]
    decisions: float | None

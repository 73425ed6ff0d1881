"""One estimated number: range, most likely value if there is one, unit, basis and source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce
from math import inf, isinf
from typing import Any

from toolchain.hardware import Price, Quantity
from toolchain.report import short

__all__ = ["BASES", "Figure", "total", "unknown", "weakest"]

BASES = ("published", "measured", "derived", "assumed", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One estimated number.

    Attributes:
        low, high: its range, in ``unit``; ``high`` is inf if it has no bound.
        nominal: the most likely value, or None if only a range is known.
        unit: of all three.
        basis: kind of evidence: published, measured, derived, assumed or unknown.
        source: source of its constants.

    Raises:
        ValueError: numbers below 0 or not in order.

    >>> idle = Figure(low=216, nominal=250, high=300, unit="µW", basis="measured")
    >>> print(idle + Figure(low=10, nominal=None, high=930, unit="µW", basis="assumed"))
    226 to 1 230 µW (assumed)
    >>> print(idle.times(2e-3, "µJ/step"))
    0.5 µJ/step (0.432 to 0.6, measured)
    """

    low: float
    nominal: float | None
    high: float
    unit: str
    basis: str
    source: str = ""

    def __post_init__(self) -> None:
        # written so that NaN fails
        between = self.low if self.nominal is None else self.nominal
        if not (0 <= self.low < inf and self.low <= between <= self.high):
            raise ValueError(
                f"a figure needs 0 <= low <= nominal <= high, got {self.low}, {self.nominal}, "
                f"{self.high} {self.unit}"
            )

    def __str__(self) -> str:
        """Return ``271 µW (216 to 300, measured)``, or ``at least 216 µW (unknown)``."""
        if isinf(self.high):
            return f"at least {short(self.low, 4)} {self.unit} (unknown)" if self.low else "unknown"
        span = f"{short(self.low, 4)} to {short(self.high, 4)}"
        if self.nominal is None:
            return f"{span} {self.unit} ({self.basis})"
        if self.low == self.high:
            return f"{short(self.nominal, 4)} {self.unit} ({self.basis})"
        return f"{short(self.nominal, 4)} {self.unit} ({span}, {self.basis})"

    def __add__(self, other: Figure) -> Figure:
        """Return the sum; its basis is the weaker one, and it has no nominal value if one has none.

        Raises:
            ValueError: figures of two units.
        """
        if self.unit != other.unit:
            raise ValueError(f"{self.unit} and {other.unit} cannot be added")
        known = self.nominal is not None and other.nominal is not None
        sources = [*self.source.split("; "), *other.source.split("; ")]
        return Figure(
            low=self.low + other.low,
            nominal=(self.nominal or 0.0) + (other.nominal or 0.0) if known else None,
            high=self.high + other.high,
            unit=self.unit,
            basis=weakest([self.basis, other.basis]),
            source="; ".join(dict.fromkeys(s for s in sources if s)),
        )

    def times(self, factor: float, unit: str) -> Figure:
        """Return the figure times an exact number >= 0, in the unit of the product.

        Raises:
            ValueError: a factor that is negative, infinite or not a number.
        """
        if not 0 <= factor < inf:
            raise ValueError(f"the factor of a figure must be a number >= 0, got {factor}")
        return Figure(
            low=self.low * factor,
            nominal=None if self.nominal is None else self.nominal * factor,
            high=self.high * factor if factor else 0.0,
            unit=unit,
            basis=self.basis,
            source=self.source,
        )

    @classmethod
    def of(cls, quantity: Quantity | Price, unit: str, source: str) -> Figure:
        """Return a specified number as a figure; without nominal value if it is assumed."""
        low, nominal, high = quantity.range(unit)
        return cls(
            low=low,
            nominal=None if quantity.basis == "assumed" else nominal,
            high=high,
            unit=unit,
            basis=quantity.basis,
            source=source,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as plain data; ``high`` is None if it has no bound."""
        return {**asdict(self), "high": None if isinf(self.high) else self.high}


def unknown(unit: str) -> Figure:
    """Return a figure about which nothing is known.

    >>> print(unknown("µW"), unknown("µW").high)
    unknown inf
    """
    return Figure(low=0.0, nominal=None, high=inf, unit=unit, basis="unknown")


def weakest(bases: Iterable[str]) -> str:
    """Return the weakest of several bases, ``published`` if there is none.

    >>> weakest(["measured", "assumed", "derived"])
    'assumed'
    """
    return max(bases, key=BASES.index, default="published")


def total(figures: Iterable[Figure], unit: str) -> Figure:
    """Return the sum of figures of one unit; 0 if there are none.

    >>> rail = Figure(low=40, nominal=50, high=60, unit="µW", basis="measured")
    >>> print(total([rail, rail], "µW"))
    100 µW (80 to 120, measured)
    """
    zero = Figure(low=0.0, nominal=0.0, high=0.0, unit=unit, basis="published")
    return reduce(Figure.__add__, figures, zero)

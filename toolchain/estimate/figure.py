"""One estimated number: its range, its likeliest value if there is one, unit, basis and source."""

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
        low, high: its range, in ``unit``; ``high`` is inf where nothing bounds it.
        nominal: the likeliest value, or None where only a range can be defended.
        unit: of all three.
        basis: how well it is known: published, measured, derived, assumed or unknown.
        source: where its constants come from.

    Raises:
        ValueError: numbers below 0 or not in order.
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
        """``271 µW (216 to 300, measured)``, ``at least 216 µW (unknown)``."""
        if isinf(self.high):
            return f"at least {short(self.low, 4)} {self.unit} (unknown)" if self.low else "unknown"
        span = f"{short(self.low, 4)} to {short(self.high, 4)}"
        if self.nominal is None:
            return f"{span} {self.unit} ({self.basis})"
        if self.low == self.high:
            return f"{short(self.nominal, 4)} {self.unit} ({self.basis})"
        return f"{short(self.nominal, 4)} {self.unit} ({span}, {self.basis})"

    def __add__(self, other: Figure) -> Figure:
        """The sum; its basis is the weaker one, and it has no nominal value if one has none.

        Raises:
            ValueError: figures of two units.
        """
        if self.unit != other.unit:
            raise ValueError(f"{self.unit} and {other.unit} do not add up")
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
        """The figure multiplied by a number >= 0 that is known exactly, in the product's unit.

        Raises:
            ValueError: a factor that is negative, infinite or no number.
        """
        if not 0 <= factor < inf:
            raise ValueError(f"a figure is multiplied by a number >= 0, got {factor}")
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
        """A specified number; without nominal value where it is assumed."""
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
        """The same as plain data; ``high`` is None where nothing bounds it."""
        return {**asdict(self), "high": None if isinf(self.high) else self.high}


def unknown(unit: str) -> Figure:
    """A figure that nobody knows anything about."""
    return Figure(low=0.0, nominal=None, high=inf, unit=unit, basis="unknown")


def weakest(bases: Iterable[str]) -> str:
    """The least certain of several bases."""
    return max(bases, key=BASES.index, default="published")


def total(figures: Iterable[Figure], unit: str) -> Figure:
    """The sum of figures of one unit; 0 of none."""
    zero = Figure(low=0.0, nominal=0.0, high=0.0, unit=unit, basis="published")
    return reduce(Figure.__add__, figures, zero)

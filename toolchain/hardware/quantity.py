"""A hardware number with its unit, where it is from, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from toolchain.hardware.units import factor, same_dimension

__all__ = [
    "AllowedValues",
    "Basis",
    "FrozenMap",
    "NameTable",
    "Number",
    "Price",
    "Quantity",
    "Scope",
    "SourceKey",
    "SpecModel",
    "counted_in",
    "measured_in",
]

Basis = Literal["published", "measured", "derived", "assumed"]
"""``published``: the vendor states it. ``measured``: read from silicon. ``derived``: follows by
arithmetic or from a register map. ``assumed``: nobody showed it, and ``conditions`` says why this
value.
"""

Scope = Literal["idle", "incremental", "all_in"]
"""What a cost covers: a chip with nothing to do, what activity adds to that, or both together."""

V = TypeVar("V")


class SpecModel(BaseModel):
    """Part of a specification file: immutable, no coercion, no unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class FrozenMap(Mapping[str, V]):
    """A mapping that cannot be changed, so that a cached chip is safe to share and to hash."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMap({self._items!r})"


NameTable = Annotated[Mapping[str, V], AfterValidator(FrozenMap), PlainSerializer(dict)]
"""A mapping from names, frozen once it is read."""


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"must be finite, got {value!r}")
    return value


def _listed(source: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("sources")
    if known is not None and source not in known:
        raise ValueError(f"unknown source {source!r}; the file lists {', '.join(known) or 'none'}")
    return source


def _known(unit: str) -> str:
    same_dimension(unit, unit)
    return unit


Number = Annotated[int | float, BeforeValidator(_number)]
SourceKey = Annotated[str, AfterValidator(_listed)]
UnitName = Annotated[str, AfterValidator(_known)]


class Quantity(SpecModel):
    """One number about a chip.

    Attributes:
        value: the number, in ``unit``.
        unit: see ``units.py``.
        source: key into the chip's ``sources``.
        basis: how it is known.
        low, high: its range in ``unit``, around ``value``; both or neither.
        scope: for a cost, what it covers.
        conditions: what was set when it was measured, or the reasoning behind an assumption.
    """

    value: Number
    unit: UnitName
    source: SourceKey
    basis: Basis
    low: Number | None = None
    high: Number | None = None
    scope: Scope | None = None
    conditions: str = ""

    @model_validator(mode="after")
    def _range_holds_value(self) -> Quantity:
        if (self.low is None) != (self.high is None):
            raise ValueError("has one of low and high, needs both or neither")
        low, value, high = self.range(self.unit)
        if not low <= value <= high:
            raise ValueError(f"value {value:g} lies outside {low:g} to {high:g}")
        return self

    def to(self, unit: str) -> float:
        """The number in another unit of the same dimension.

        Raises:
            ValueError: ``unit`` is unknown or measures something else.
        """
        return self.value * factor(self.unit, unit)

    def range(self, unit: str) -> tuple[float, float, float]:
        """Low, nominal and high in ``unit``; three times the same where no range is known."""
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        scale = factor(self.unit, unit)
        return low * scale, self.value * scale, high * scale


class Price(SpecModel):
    """One constant of a chip's power model.

    Attributes:
        value: the likeliest, in ``unit``; None where only a range can be defended, which is so of
            everything ``assumed``.
        low, high: its range in ``unit``, around ``value``.
        unit, source, basis: as of a Quantity.
        scope: what it covers.
        conditions: what was set when it was measured, or how it was found.
    """

    value: Number | None = None
    low: Number
    high: Number
    unit: UnitName
    source: SourceKey
    basis: Basis
    scope: Scope
    conditions: Annotated[str, StringConstraints(min_length=1)]

    @model_validator(mode="after")
    def _range_holds_value(self) -> Price:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        if self.value is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"value {self.value:g} lies outside {self.low:g} to {self.high:g}")
        if (self.value is None) != (self.basis == "assumed"):
            raise ValueError("has a value exactly where it is not assumed: else a range alone")
        return self

    def range(self, unit: str) -> tuple[float, float | None, float]:
        """Low, nominal (None where there is none) and high in ``unit``.

        Raises:
            ValueError: ``unit`` is unknown or measures something else.
        """
        scale = factor(self.unit, unit)
        return (
            self.low * scale,
            None if self.value is None else self.value * scale,
            (self.high * scale),
        )


class AllowedValues(SpecModel):
    """The values a setting may take, ascending.

    Attributes:
        values: in ``unit``.
        unit, source, basis, conditions: as of a Quantity.
    """

    values: tuple[int, ...]
    unit: UnitName
    source: SourceKey
    basis: Basis
    conditions: str = ""

    @model_validator(mode="after")
    def _values_ascend(self) -> AllowedValues:
        if not self.values or list(self.values) != sorted(set(self.values)):
            raise ValueError(f"values must be one or more, ascending, got {list(self.values)}")
        return self


Specified = TypeVar("Specified", Quantity, AllowedValues)


def _check_unit(unit: str, wanted: str) -> None:
    if not same_dimension(unit, wanted):
        raise ValueError(f"is given in {unit!r}, needs {wanted!r}")


Measured = TypeVar("Measured", Quantity, Price)


def measured_in(unit: str, *, signed: bool = False) -> AfterValidator:
    """The field holds a number with the dimension of ``unit``, >= 0 unless ``signed``."""

    def check(quantity: Measured) -> Measured:
        _check_unit(quantity.unit, unit)
        least = quantity.range(quantity.unit)[0]
        if not signed and least < 0:
            raise ValueError(f"must not be negative, got {least:g} {quantity.unit}")
        return quantity

    return AfterValidator(check)


def counted_in(unit: str, *, least: int = 1) -> AfterValidator:
    """The field holds a whole number >= ``least`` of exactly ``unit``, or AllowedValues of them."""

    def check(field: Specified) -> Specified:
        if field.unit != unit:
            raise ValueError(f"is given in {field.unit!r}, needs {unit!r}")
        for value in field.values if isinstance(field, AllowedValues) else (field.value,):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"must be a whole number >= {least}, got {value} {unit}")
        return field

    return AfterValidator(check)

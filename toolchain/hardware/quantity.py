"""Hardware numbers, each with its unit, source and basis."""

from __future__ import annotations

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
arithmetic or from a register map. ``assumed``: no evidence; ``conditions`` states the reasoning.
"""

Scope = Literal["idle", "incremental", "all_in"]
"""Coverage of a cost: an idle chip, the increment by activity, or both together."""

V = TypeVar("V")
LARGEST = 1e100
"""Limit of numbers, so that products of several are finite."""


class SpecModel(BaseModel):
    """Part of a specification file: immutable, no coercion, no unknown fields."""

    # most programs read files of one family only: the other models are never built
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


class FrozenMap(Mapping[str, V]):
    """An immutable mapping, so that a cached chip can be shared and hashed."""

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

    def __reduce__(self) -> tuple[type[FrozenMap[V]], tuple[dict[str, V]]]:
        return FrozenMap, (self._items,)


NameTable = Annotated[Mapping[str, V], AfterValidator(FrozenMap), PlainSerializer(dict)]
"""A mapping from names to values of a file, frozen after reading."""


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, got {value!r}")
    if not abs(value) < LARGEST:
        got = f"{value!r:.20}..." if isinstance(value, int) else repr(value)
        raise ValueError(f"must be finite and below {LARGEST:g}, got {got}")
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
        basis: kind of evidence.
        low, high: its range in ``unit``, around ``value``; both or neither.
        scope: of a cost, its coverage.
        conditions: conditions of the measurement, or the reasoning behind an assumption.

    >>> clock = Quantity(value=50, unit="MHz", source="datasheet", basis="published")
    >>> clock.to("Hz"), clock.range("kHz")
    (50000000.0, (50000.0, 50000.0, 50000.0))
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
            raise ValueError(f"value {value:g} is outside {low:g} to {high:g}")
        return self

    def to(self, unit: str) -> float:
        """Return the number in another unit of the same dimension.

        Raises:
            ValueError: ``unit`` is unknown or has another dimension.
        """
        return self.value * factor(self.unit, unit)

    def range(self, unit: str) -> tuple[float, float, float]:
        """Return low, nominal and high in ``unit``; all equal if there is no range."""
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        scale = factor(self.unit, unit)
        return low * scale, self.value * scale, high * scale


class Price(SpecModel):
    """One constant of a chip's power model.

    Attributes:
        value: the most likely value, in ``unit``; None if only a range is known, as for every
            ``assumed`` price.
        low, high: its range in ``unit``, around ``value``.
        unit, source, basis: as of a Quantity.
        scope: its coverage.
        conditions: conditions of the measurement, or its derivation.

    >>> from toolchain import load_chip
    >>> energy = load_chip("xylo_a3").power.actions["cycle"].energy
    >>> isinstance(energy, Price), energy.range("pJ/cycle"), energy.basis, energy.scope
    (True, (16.0, 25.0, 38.0), 'derived', 'incremental')
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
            raise ValueError(f"value {self.value:g} is outside {self.low:g} to {self.high:g}")
        if (self.value is None) != (self.basis == "assumed"):
            raise ValueError("needs a value, unless assumed: then only low and high")
        return self

    def range(self, unit: str) -> tuple[float, float | None, float]:
        """Return low, nominal (or None) and high in ``unit``.

        Raises:
            ValueError: ``unit`` is unknown or has another dimension.
        """
        scale = factor(self.unit, unit)
        return (
            self.low * scale,
            None if self.value is None else self.value * scale,
            (self.high * scale),
        )


class AllowedValues(SpecModel):
    """The allowed values of a setting, ascending.

    Attributes:
        values: in ``unit``.
        unit, source, basis, conditions: as of a Quantity.

    >>> from toolchain import load_chip
    >>> strides = load_chip("speck2f").limits.strides
    >>> isinstance(strides, AllowedValues), strides.values, strides.unit
    (True, (1, 2, 4, 8), 'px')
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
    """Check that a field is a number of the dimension of ``unit``, >= 0 unless ``signed``."""

    def check(quantity: Measured) -> Measured:
        _check_unit(quantity.unit, unit)
        least = quantity.range(quantity.unit)[0]
        if not signed and least < 0:
            raise ValueError(f"must not be negative, got {least:g} {quantity.unit}")
        return quantity

    return AfterValidator(check)


def counted_in(unit: str, *, least: int = 1) -> AfterValidator:
    """Check that a field is in ``unit`` exactly: a whole number >= ``least``, or AllowedValues."""

    def check(field: Specified) -> Specified:
        if field.unit != unit:
            raise ValueError(f"is given in {field.unit!r}, needs {unit!r}")
        for value in field.values if isinstance(field, AllowedValues) else (field.value,):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"must be a whole number >= {least}, got {value} {unit}")
        return field

    return AfterValidator(check)

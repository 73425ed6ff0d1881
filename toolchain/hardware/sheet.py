"""Sheet of a chip specification: a row for each number of the file, at any depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from pydantic import BaseModel

from toolchain.hardware.quantity import AllowedValues, Price, Quantity
from toolchain.report import Column, Sheet, Table, Text, count, short, spread

__all__ = ["chip_sheet"]


class Titled(Protocol):
    """Anything with a title."""

    @property
    def title(self) -> str:
        """The title."""


class Noted(Protocol):
    """An erratum."""

    @property
    def id(self) -> str:
        """Its short name."""

    @property
    def text(self) -> str:
        """Its description."""


def chip_sheet(
    chip: BaseModel, title: str, sources: Mapping[str, Titled], errata: Iterable[Noted]
) -> Sheet:
    """Return a table of all numbers of ``chip``, with the places in its file."""
    table = Table(
        columns=(
            Column("number"),
            Column("value", "right"),
            Column("unit", wraps=False),
            Column("basis", wraps=False),
            Column("source", wraps=False),
        ),
        rows=tuple(
            (place, _value(number), number.unit, number.basis, number.source)
            for place, number in _numbers(chip)
        ),
    )
    documents = Text(tuple(f"{key}: {source.title}" for key, source in sources.items()))
    faults = Text(tuple(f"erratum {each.id}: {each.text}" for each in errata))
    return Sheet((table, documents, faults), title)


def _numbers(
    part: object, place: str = ""
) -> Iterator[tuple[str, Quantity | AllowedValues | Price]]:
    """Yield every number within ``part``, each with its place, as ``power.idle.io``."""
    if isinstance(part, Quantity | AllowedValues | Price):
        yield place, part
        return
    inner: Iterable[tuple[object, object]] = ()
    if isinstance(part, BaseModel):
        inner = ((name, getattr(part, name)) for name in type(part).model_fields)
    elif isinstance(part, Mapping):
        inner = part.items()
    elif isinstance(part, tuple):
        inner = enumerate(part)
    for name, value in inner:
        yield from _numbers(value, f"{place}.{name}" if place else f"{name}")


def _value(number: Quantity | AllowedValues | Price) -> str:
    if isinstance(number, AllowedValues):
        return ", ".join(map(count, number.values))
    if isinstance(number, Quantity) and number.low is None:
        whole = isinstance(number.value, int)
        return count(number.value) if whole else short(number.value, 6)
    return spread(*number.range(number.unit))

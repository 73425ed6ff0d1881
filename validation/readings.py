"""Published readings, typed: what ``measurements.yaml`` holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from toolchain.hardware.chip import Source
from toolchain.hardware.quantity import (
    NameTable,
    Number,
    Quantity,
    SourceKey,
    SpecModel,
    UnitName,
    counted_in,
    measured_in,
)
from toolchain.hardware.units import factor
from toolchain.hardware.yaml_file import read_yaml

__all__ = ["Load", "Measurements", "Reading", "Row", "measurements"]

FILE = Path(__file__).with_name("measurements.yaml")

Kind = Literal["R", "P", "N"]
"""Computed from the chip files and the network, in part, or a check of consistency."""


def _positive(values: NameTable[Number]) -> NameTable[Number]:
    if not values or min(values.values()) < 0:
        raise ValueError("needs numbers >= 0")
    return values


class Reading(SpecModel):
    """What somebody measured.

    Attributes:
        chip: its name.
        rail: that was read; empty where ``values`` are by rail, or nothing electric.
        values: by main clock in MHz, or by name; in ``unit``.
        unit: of all.
        source: key of ``sources``.
        grade: A read in the work itself, B in a secondary source, D arithmetic on either.
        conditions: what was set.
    """

    chip: str
    rail: str = ""
    values: Annotated[NameTable[Number], AfterValidator(_positive)]
    unit: UnitName
    source: SourceKey
    grade: Literal["A", "B", "D"]
    conditions: str = ""

    def to(self, unit: str) -> dict[str, float]:
        """The values in another unit of the same dimension."""
        return {name: value * factor(self.unit, unit) for name, value in self.values.items()}

    @property
    def by_clock(self) -> dict[float, float]:
        """Main clock, MHz, to the reading, µW."""
        return {float(mhz): value for mhz, value in self.to("µW").items()}

    @property
    def only(self) -> float:
        """The one value there is, in ``unit``."""
        (value,) = self.values.values()
        return float(value)


class Load(SpecModel):
    """How busy a network was while it was read.

    Attributes:
        steps, seconds: together the rate of steps.
        input_active, hidden_active: channels and neurons with a spike in a step, 0..1.
    """

    steps: Annotated[Quantity, counted_in("step")]
    seconds: Annotated[Quantity, measured_in("s")]
    input_active: Annotated[Quantity, measured_in("fraction")]
    hidden_active: Annotated[Quantity, measured_in("fraction")]

    @property
    def dt(self) -> float:
        """What one step took, s."""
        return self.seconds.to("s") / self.steps.value

    def ends(self) -> Iterator[tuple[float, float]]:
        """Input and hidden activity: least, likeliest, most."""
        pairs = (self.input_active.range("fraction"), self.hidden_active.range("fraction"))
        yield from zip(*pairs, strict=True)


class Row(SpecModel):
    """A row of the table.

    Attributes:
        kind: see ``Kind``.
        tolerance: how far off the estimate may be, as a fraction of the reading; 0 is exact.
        factor: how many times too large or too small it may be, instead.
        title: what was done.
    """

    kind: Kind
    tolerance: Number | None = None
    factor: Number | None = None
    title: str

    @model_validator(mode="after")
    def _one_of_them(self) -> Row:
        if self.tolerance is not None and self.factor is not None:
            raise ValueError("has tolerance and factor, needs one")
        if self.kind == "R" and self.tolerance is None:
            raise ValueError("is of kind R, needs a tolerance")
        return self


class Measurements(SpecModel):
    """The whole file."""

    sources: NameTable[Source]
    rows: NameTable[Row]
    not_computed: NameTable[str]
    loads: NameTable[Load]
    readings: NameTable[Reading]


@cache
def measurements() -> Measurements:
    """What the file says.

    Raises:
        ChipFileError, ValidationError: it is wrong.
    """
    document = read_yaml(FILE)
    assert not document.faults, document.faults
    context = {"sources": document.data["sources"]}
    return Measurements.model_validate(document.data, context=context)

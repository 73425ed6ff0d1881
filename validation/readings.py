"""Model of the published readings in ``measurements.yaml``."""

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
"""R: computed from the chip files and the network; P: computed in part; N: consistency check."""


def _positive(values: NameTable[Number]) -> NameTable[Number]:
    if not values or min(values.values()) < 0:
        raise ValueError("needs numbers >= 0")
    return values


class Reading(SpecModel):
    """A published measurement.

    Attributes:
        chip: name of the chip.
        rail: measured supply rail; empty if ``values`` are by rail, or not electrical.
        values: values by main clock in MHz, or by name; in ``unit``.
        unit: unit of all values.
        source: key of ``sources``.
        grade: A from the original work, B from a secondary source, D computed from either.
        conditions: settings of the measurement.
    """

    chip: str
    rail: str = ""
    values: Annotated[NameTable[Number], AfterValidator(_positive)]
    unit: UnitName
    source: SourceKey
    grade: Literal["A", "B", "D"]
    conditions: str = ""

    def to(self, unit: str) -> dict[str, float]:
        """Return the values in another unit of the same dimension."""
        return {name: value * factor(self.unit, unit) for name, value in self.values.items()}

    @property
    def by_clock(self) -> dict[float, float]:
        """Readings, µW, by main clock, MHz."""
        return {float(mhz): value for mhz, value in self.to("µW").items()}

    @property
    def only(self) -> float:
        """The only value, in ``unit``."""
        (value,) = self.values.values()
        return float(value)


class Load(SpecModel):
    """Activity of a network during a reading.

    Attributes:
        steps, seconds: number of steps and their duration.
        input_active, hidden_active: fraction of channels and neurons that spike in a step, 0..1.
    """

    steps: Annotated[Quantity, counted_in("step")]
    seconds: Annotated[Quantity, measured_in("s")]
    input_active: Annotated[Quantity, measured_in("fraction")]
    hidden_active: Annotated[Quantity, measured_in("fraction")]

    @property
    def dt(self) -> float:
        """Duration of one step, s."""
        return self.seconds.to("s") / self.steps.value

    def ends(self) -> Iterator[tuple[float, float]]:
        """Yield input and hidden activity: lowest, most likely, highest."""
        pairs = (self.input_active.range("fraction"), self.hidden_active.range("fraction"))
        yield from zip(*pairs, strict=True)


class Row(SpecModel):
    """A row of the table.

    Attributes:
        kind: see ``Kind``.
        tolerance: largest relative error of the estimate; 0 for exact.
        factor: largest ratio between estimate and reading, instead of ``tolerance``.
        title: description of the measurement.
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
    """Content of the file."""

    sources: NameTable[Source]
    rows: NameTable[Row]
    not_computed: NameTable[str]
    loads: NameTable[Load]
    readings: NameTable[Reading]


@cache
def measurements() -> Measurements:
    """Read the file.

    Raises:
        ChipFileError, ValidationError: the file is invalid.
    """
    document = read_yaml(FILE)
    assert not document.faults, document.faults
    context = {"sources": document.data["sources"]}
    return Measurements.model_validate(document.data, context=context)

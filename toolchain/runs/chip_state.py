"""State of a simulated chip between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.arrays import Array, read_only
from toolchain.report import Brief, Column, Described, Sheet, Table, count, plural

__all__ = ["ChipState"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ChipState(Described, Brief):
    """State from which a simulation continues: plain integer arrays, batch first.

    Two states are equal if all of their attributes are.

    Attributes:
        chip: name of the chip.
        program: digest of the program.
        timing: timing of the simulation.
        steps: steps since its start.
        arrays: arrays (batch, ...) by name; copied and read-only.

    >>> state = ChipState(chip="toy", program="1f", timing="clocked", steps=20,
    ...                   arrays={"v_mem": np.zeros((2, 3), np.int16)})
    >>> print(state)
    state of toy after 20 steps, 2 samples
     array  type      values  not zero
     v_mem  int16[3]       6         0
    >>> state == ChipState(**{name: getattr(state, name) for name in state.__slots__})
    True
    """

    chip: str
    program: str
    timing: str
    steps: int
    arrays: Mapping[str, Array]

    def __post_init__(self) -> None:
        """Copy the arrays."""
        arrays = {name: read_only(array) for name, array in self.arrays.items()}
        object.__setattr__(self, "arrays", arrays)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return max((len(array) for array in self.arrays.values()), default=0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChipState):
            return NotImplemented
        return (
            self.metadata() == other.metadata()
            and self.arrays.keys() == other.arrays.keys()
            and all(_same(array, other.arrays[name]) for name, array in self.arrays.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def metadata(self) -> dict[str, Any]:
        """Return all attributes but the arrays, as JSON-compatible data."""
        names = ("chip", "program", "timing", "steps")
        return {name: getattr(self, name) for name in names}

    def sheet(self) -> Sheet:
        """Describe the arrays."""
        columns = (Column("array"), Column("type"), Column("values", "right"))
        rows = tuple(
            (name, _type(array), count(array.size), count(int(np.count_nonzero(array))))
            for name, array in self.arrays.items()
        )
        size = f"{plural(self.steps, 'step')}, {plural(self.samples, 'sample')}"
        table = Table(columns=(*columns, Column("not zero", "right")), rows=rows)
        return Sheet((table,), f"state of {self.chip} after {size}")

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes as plain data, the arrays as nested lists."""
        arrays = {name: array.tolist() for name, array in self.arrays.items()}
        return {**self.metadata(), "samples": self.samples, "arrays": arrays}


def _type(array: Array) -> str:
    return f"{array.dtype.name}[{', '.join(map(str, array.shape[1:]))}]"


def _same(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)

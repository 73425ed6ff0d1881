"""State of a simulated chip between two steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.arrays import Array, read_only
from toolchain.report import Brief, Column, Described, Sheet, Table, count, plural

__all__ = ["ChipState", "LateArrays"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ChipState(Described, Brief):
    """State from which a simulation continues: plain integer arrays, batch first.

    Two states are equal if all of their attributes are.

    Attributes:
        chip: name of the chip.
        program: digest of the program.
        timing: timing of the simulation.
        steps: steps since its start.
        arrays: arrays (batch, ...) by name; copied and read-only. ``LateArrays`` are computed
            when they are first read: few runs are continued.

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
        """Copy the arrays, unless they are computed later."""
        if isinstance(self.arrays, LateArrays):
            return
        arrays = {name: read_only(array) for name, array in self.arrays.items()}
        object.__setattr__(self, "arrays", arrays)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return max((len(array) for array in self.arrays.values() if array.ndim), default=0)

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


class LateArrays(Mapping[str, Array]):
    """Arrays by name that a function computes when they are first read; read-only.

    >>> arrays = LateArrays(lambda: {"v_mem": np.zeros(3)})
    >>> list(arrays), arrays["v_mem"].flags.writeable
    (['v_mem'], False)
    """

    __slots__ = ("_arrays", "_compute")

    def __init__(self, compute: Callable[[], Mapping[str, Array]]) -> None:
        self._compute = compute
        self._arrays: dict[str, Array] | None = None

    def _read(self) -> dict[str, Array]:
        if self._arrays is None:
            self._arrays = {name: read_only(array) for name, array in self._compute().items()}
        return self._arrays

    def __getitem__(self, name: str) -> Array:
        """Return an array."""
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._read())

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._read())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arrays."""
        return dict, (self._read(),)


def _type(array: Array) -> str:
    return f"{array.dtype.name}[{', '.join(map(str, array.shape[1:]))}]"


def _same(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)

"""Spikes as a list of those that occurred, for long or quiet recordings."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.report import Described, Sheet, Text, count, plural

__all__ = ["SparseSpikes", "SpikeCollector"]

ROW_BYTES = 20
"""Memory of one row of ``SparseSpikes``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SparseSpikes(Described):
    """Spike counts (batch, time, *features) of which only those above 0 are stored.

    Rows are in the order of sample, step and neuron. ``np.asarray`` returns the dense array.

    Attributes:
        shape: (batch, time, *features) of the dense array.
        sample: int32 (rows,).
        step: int64 (rows,), from the start of the recording on.
        neuron: int32 (rows,), index into the flattened features.
        count: int32 (rows,), spikes of the neuron in the step, > 0.

    >>> spikes = SparseSpikes.of(np.array([[[0, 2], [0, 0], [1, 0]]]))
    >>> spikes.step.tolist(), spikes.neuron.tolist(), spikes.count.tolist()
    ([0, 2], [1, 0], [2, 1])
    >>> np.asarray(spikes).tolist()
    [[[0, 2], [0, 0], [1, 0]]]
    >>> print(spikes)
    3 spikes of 2 neurons in 1 sample of 3 steps
    """

    shape: Shape
    sample: Array
    step: Array
    neuron: Array
    count: Array

    @classmethod
    def of(cls, dense: Array) -> SparseSpikes:
        """Return the counts of an array (batch, time, *features) that are above 0."""
        flat = dense.reshape(*dense.shape[:2], prod(dense.shape[2:]))
        # numpy finds the places in a flat array of bools several times faster
        sample, rest = np.divmod(np.flatnonzero(flat != 0), max(1, prod(flat.shape[1:])))
        step, neuron = np.divmod(rest, max(1, flat.shape[2]))
        return cls(
            shape=dense.shape,
            sample=sample.astype(np.int32),
            step=step,
            neuron=neuron.astype(np.int32),
            count=flat[sample, step, neuron].astype(np.int32),
        )

    @property
    def nbytes(self) -> int:
        """Memory of the rows, bytes."""
        return sum(part.nbytes for part in (self.sample, self.step, self.neuron, self.count))

    def dense(self, dtype: Any = np.int32) -> Array:
        """Return the counts as an array (batch, time, *features)."""
        found = np.zeros((*self.shape[:2], prod(self.shape[2:])), dtype)
        found[self.sample, self.step, self.neuron] = self.count
        return found.reshape(self.shape)

    def sum(self) -> int:
        """Return the number of spikes."""
        return int(self.count.sum(dtype=np.int64))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the dense array, for numpy."""
        if copy is False:
            raise ValueError("sparse spikes become an array only as a copy")
        return self.dense(np.int32 if dtype is None else dtype)

    def sheet(self) -> Sheet:
        """Describe the number of spikes, neurons, samples and steps."""
        samples, steps = self.shape[:2]
        neurons = plural(prod(self.shape[2:]), "neuron")
        size = f"{plural(samples, 'sample')} of {plural(steps, 'step')}"
        return Sheet((Text((f"{count(self.sum())} spikes of {neurons} in {size}",)),))

    def __repr__(self) -> str:
        """Return the shape and the number of rows."""
        return f"SparseSpikes(shape={self.shape}, rows={len(self.count)})"


class SpikeCollector:
    """Collects the spikes of a recording part by part, in the smaller of both forms.

    Args:
        shape: (batch, time, *features) of the whole recording.
        dtype: of the dense array.

    Different threads may add parts of different samples at a time.
    """

    def __init__(self, shape: Shape, dtype: Any) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._parts: list[list[tuple[int, Array | SparseSpikes]]] = [[] for _ in range(shape[0])]

    def add(self, sample: int, start: int, part: Array) -> None:
        """Add the spikes (steps, *features) of a sample from step ``start`` on; they are copied."""
        rows = SparseSpikes.of(part[None])
        small = rows.nbytes < part.size * self._dtype.itemsize
        self._parts[sample].append((start, rows if small else part.astype(self._dtype)))

    def spikes(self) -> Array | SparseSpikes:
        """Return all spikes, as an array where that is not larger; parts not added are silent."""
        total = sum(
            len(part.count) if isinstance(part, SparseSpikes) else np.count_nonzero(part)
            for parts in self._parts
            for _, part in parts
        )
        if total * ROW_BYTES < prod(self._shape) * self._dtype.itemsize:
            return self._rows()
        dense = np.zeros(self._shape, self._dtype)
        for sample, parts in enumerate(self._parts):
            for start, part in parts:
                piece = part.dense()[0] if isinstance(part, SparseSpikes) else part
                dense[sample, start : start + len(piece)] = piece
        return dense

    def _rows(self) -> SparseSpikes:
        sample, step, neuron, number = [], [], [], []
        for index, parts in enumerate(self._parts):
            for start, part in parts:
                rows = part if isinstance(part, SparseSpikes) else SparseSpikes.of(part[None])
                sample.append(rows.sample + np.int32(index))
                step.append(rows.step + start)
                neuron.append(rows.neuron)
                number.append(rows.count)
        return SparseSpikes(
            shape=self._shape,
            sample=np.concatenate([np.zeros(0, np.int32), *sample]),
            step=np.concatenate([np.zeros(0, np.int64), *step]),
            neuron=np.concatenate([np.zeros(0, np.int32), *neuron]),
            count=np.concatenate([np.zeros(0, np.int32), *number]),
        )

"""Spikes of several layers one by one, each with its layer, neuron and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.report import Column, Described, Sheet, Table, count, plain, plural
from toolchain.runs.sparse import SparseSpikes

__all__ = ["SpikeEvents"]

_COLUMNS = {"sample": np.int32, "layer": np.int32, "neuron": np.int32, "t": np.int64}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SpikeEvents(Described):
    """Spikes, a row each, in the order of sample and time.

    Attributes:
        layers: names of the layers.
        sample: int32 (spikes,).
        layer: int32 (spikes,), index into ``layers``.
        neuron: int32 (spikes,), index into the flattened features of the layer.
        t: int64 (spikes,), time since the start of the simulation, µs; the number of the step
            where the length of a step is unknown.

    >>> events = SpikeEvents.of({"fc": np.array([[[0, 2], [1, 0]]])}, first=0, dt=1e-3)
    >>> events.layer.tolist(), events.neuron.tolist(), events.t.tolist()
    ([0, 0, 0], [1, 1, 0], [0, 0, 1000])
    >>> print(events)
    3 spikes
     layer  spikes  neurons that spike
     fc          3                   2
    """

    layers: tuple[str, ...]
    sample: Array
    layer: Array
    neuron: Array
    t: Array

    @classmethod
    def of(
        cls, spikes: Mapping[str, Array | SparseSpikes], first: int, dt: float | None
    ) -> SpikeEvents:
        """Return the spikes of layers, which occur at the start of their step.

        Args:
            spikes: counts (batch, time, *features) by layer.
            first: number of the first step.
            dt: length of a step, s; None if unknown.
        """
        parts = []
        for name, counts in spikes.items():
            rows = counts if isinstance(counts, SparseSpikes) else SparseSpikes.of(counts)
            step = np.repeat(rows.step + first, rows.count)
            parts.append(
                cls(
                    layers=(name,),
                    sample=np.repeat(rows.sample, rows.count),
                    layer=np.zeros(len(step), np.int32),
                    neuron=np.repeat(rows.neuron, rows.count),
                    t=step if dt is None else np.rint(step * (dt * 1e6)).astype(np.int64),
                )
            )
        return cls.join(parts)

    @classmethod
    def join(cls, parts: Sequence[SpikeEvents]) -> SpikeEvents:
        """Return the spikes of different layers as one list."""
        names = tuple(name for part in parts for name in part.layers)
        starts = np.cumsum([0, *(len(part.layers) for part in parts)]).tolist()
        columns = {
            name: np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])
            for name, kind in _COLUMNS.items()
        }
        shift = [np.full(len(part), at) for part, at in zip(parts, starts, strict=False)]
        columns["layer"] = columns["layer"] + np.concatenate([np.zeros(0, np.int32), *shift])
        order = np.lexsort((columns["layer"], columns["t"], columns["sample"]))
        kept = {name: columns[name][order].astype(kind) for name, kind in _COLUMNS.items()}
        return cls(layers=names, **kept)

    def __len__(self) -> int:
        """Return the number of spikes."""
        return len(self.t)

    def of_layer(self, name: str) -> SpikeEvents:
        """Return the spikes of one layer.

        Raises:
            ValueError: an unknown layer (the message lists the valid ones).
        """
        if name not in self.layers:
            raise ValueError(f"no spikes of {name!r} were kept; of {', '.join(self.layers)} some")
        own = self.layer == self.layers.index(name)
        return SpikeEvents(
            layers=(name,),
            sample=self.sample[own],
            layer=np.zeros(int(own.sum()), np.int32),
            neuron=self.neuron[own],
            t=self.t[own],
        )

    def as_array(self) -> Array:
        """Return a structured array with the fields ``sample, layer, neuron, t``."""
        found = np.zeros(len(self), list(_COLUMNS.items()))
        for name in _COLUMNS:
            found[name] = getattr(self, name)
        return found

    def sheet(self) -> Sheet:
        """Describe the spikes of each layer."""
        columns = (
            Column("layer"),
            Column("spikes", "right"),
            Column("neurons that spike", "right"),
        )
        rows = []
        for index, name in enumerate(self.layers):
            own = self.neuron[self.layer == index]
            rows.append((name, count(len(own)), count(len(np.unique(own)))))
        return Sheet((Table(columns=columns, rows=tuple(rows)),), plural(len(self), "spike"))

    def as_dict(self) -> dict[str, Any]:
        """Return the columns as plain data."""
        return {"layers": list(self.layers)} | {n: plain(getattr(self, n)) for n in _COLUMNS}

    def __repr__(self) -> str:
        """Return the number of spikes and the layers."""
        return f"SpikeEvents(layers={self.layers}, spikes={len(self)})"

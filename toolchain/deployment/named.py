"""Recordings of a chip under the user's names of layers and outputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Record
from toolchain.chips.record import names_of
from toolchain.deployment.store import Parts
from toolchain.ir import Graph, MembraneReadout
from toolchain.runs import Recording, SparseSpikes
from toolchain.runs.outputs import outputs_by_name

__all__ = ["NamedRecordings", "readout_unit"]


class NamedRecordings:
    """Adds the user's names to the recordings of one deployment.

    ``places`` is the place of each output in the last axis of a recording, ``asked`` the record
    that was asked for.

    Args:
        parts: the deployment.
        record: what the user asks for; a weight layer stands for the neurons behind it.

    Raises:
        ValueError: a layer that is not in the network (the message lists the valid ones).
    """

    def __init__(self, parts: Parts, record: Record) -> None:
        self.asked = _tuples(record) if isinstance(record, Mapping) else record
        self._layers = _layers(parts, record) if isinstance(record, Mapping) else {}
        self._unit = parts.quantized.derived(readout_unit)
        self.places = parts.quantized.derived(_places)

    @property
    def record(self) -> Record:
        """The record that was asked for, by the names of neuron layers."""
        if not isinstance(self.asked, Mapping):
            return self.asked
        found: dict[str, tuple[str, ...]] = {}
        for name, kinds in self.asked.items():
            layer = self._layers[name]
            found[layer] = tuple(dict.fromkeys((*found.get(layer, ()), *kinds)))
        return found

    def recording(self, run: Recording) -> Recording:
        """Return the recording with the outputs by name, and what was recorded as it was asked."""
        if run.outputs and run.readout is None and not self._layers:
            return run
        recorded: Mapping[str, Mapping[str, Array | SparseSpikes]] = run.recorded
        if isinstance(self.asked, Mapping):
            recorded = {name: run.recorded[layer] for name, layer in self._layers.items()}
        unit = None if run.readout is None else self._unit
        values = run.spikes if run.readout is None else np.asarray(run.readout * unit)
        outputs = {name: values[:, :, place] for name, place in self.places.items()}
        return replace(run, outputs=outputs, readout_unit=unit, recorded=recorded)


def readout_unit(graph: Graph) -> Array:
    """Return the value of one integer of each output neuron in the trained network's unit.

    1 where spikes are read.
    """
    nodes = graph.of(MembraneReadout)
    units = [
        np.broadcast_to(nodes[n].v_scale, nodes[n].shape) if n in nodes else np.ones(())
        for n in graph.outputs
    ]
    return np.concatenate([np.ravel(unit) for unit in units])


def _places(graph: Graph) -> dict[str, slice]:
    """Return the place of each output in the last axis of a recording."""
    sizes = [prod(graph.shape(name)) for name in graph.output_nodes]
    ids = np.arange(sum(sizes))[None, None]
    parts = outputs_by_name(graph, ids)
    return {
        name: slice(int(part[0, 0, 0]), int(part[0, 0, 0]) + part.shape[2])
        if part.size
        else slice(0)
        for name, part in parts.items()
    }


def _tuples(record: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    return {name: names_of(kinds, name) for name, kinds in record.items()}


def _layers(parts: Parts, record: Mapping[str, object]) -> dict[str, str]:
    """Return the neuron layer of each name: itself, or the neurons behind a weight layer."""
    graph, placed, found = parts.graph, parts.on_chip.placement(), {}
    for name in record:
        layer: str | None = name
        # the neurons behind anything else would be taken for that
        if name not in placed and not (name in graph.nodes and hasattr(graph[name], "weight")):
            layer = None
        while layer is not None and layer not in placed:
            layer = graph.after(layer)
        if layer is None:
            raise ValueError(f"record names layer {name!r}; the layers are {', '.join(placed)}")
        found[name] = layer
    return found

"""Loss of agreement by layer: which layers' integers cost how much.

The float network runs with the integers and decays of the chip in one layer alone, and in all but
one, in real arithmetic; then on the chip itself. Errors of layers do not add up, since later layers
cancel a part of earlier ones, so that layers are ranked by what would be won without them: the
agreement with the chip's numbers in all layers but one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from toolchain.arrays import Array
from toolchain.ir import Graph, Neuron
from toolchain.report import (
    Brief,
    Column,
    Described,
    Sheet,
    Table,
    Text,
    count,
    plain,
    plural,
    share,
)
from toolchain.report.named import entry_named
from toolchain.runs.ceiling import Ceiling
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import Recording, aligned, count_agreement

__all__ = ["LayerSensitivity", "Sensitivity", "sensitivity_of"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LayerSensitivity(Brief):
    """Agreements with the float network, 0..1, by where the chip's numbers are used.

    Attributes:
        layer: the user's own name.
        only: of the outputs, with the chip's numbers in this layer alone.
        all_but: of the outputs, with the chip's numbers in all other layers.
        own: of this layer's spikes, with the chip's numbers in this layer alone: its own error.
        accumulated: of this layer's spikes on the chip, with the errors of the layers before it.
        floor: part of ``accumulated`` that the chip's arithmetic costs: leaks by whole numbers and
            words of limited width; below 0 where integers make up for it.
    """

    layer: str
    only: float
    all_but: float
    own: float
    accumulated: float
    floor: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sensitivity(Described):
    """Loss of agreement by layer, the layer that costs most first.

    Attributes:
        chip: its title.
        samples, steps: of the spikes.
        layers: every neuron layer.
        all_layers: agreement of the outputs with the chip's numbers in all layers.
        on_chip: agreement of the outputs of the chip.
        ceiling: agreement that rounding of the weights alone would leave; None if not known.

    >>> values = dict(only=0.9, own=0.95, accumulated=0.9, floor=0.01)
    >>> rows = [LayerSensitivity(layer="fc1", all_but=0.99, **values)]
    >>> size = dict(samples=10, steps=100)
    >>> found = Sensitivity(chip="Xylo", layers=rows, all_layers=0.9, on_chip=0.89, **size)
    >>> found.layers[0].layer, f"{found['fc1'].all_but - found.all_layers:.2f}"
    ('fc1', '0.09')
    """

    chip: str
    samples: int
    steps: int
    layers: tuple[LayerSensitivity, ...]
    all_layers: float
    on_chip: float
    ceiling: Ceiling | None = field(default=None)

    def __getitem__(self, name: str) -> LayerSensitivity:
        """Return the layer of that name; KeyError lists the names."""
        return entry_named(name, ((each.layer, each) for each in self.layers))

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, which JSON can hold."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self)}

    def sheet(self) -> Sheet:
        """Describe each layer, the whole network, and the ceiling."""
        headings = ("won without", "only", "all but", "own", "on chip", "arithmetic")
        table = Table(
            columns=(Column("layer"), *(Column(heading, "right") for heading in headings)),
            rows=tuple((row.layer, *self._cells(row)) for row in self.layers),
        )
        title = (
            f"{self.chip}, {plural(self.samples, 'sample')} of {count(self.steps)} steps: "
            "agreement of spike counts with the chip's numbers in some layers"
        )
        return Sheet((table, Text(tuple(self._remarks()))), title)

    def _cells(self, row: LayerSensitivity) -> Iterator[str]:
        yield _points(row.all_but - self.all_layers)
        yield from map(share, (row.only, row.all_but, row.own, row.accumulated))
        yield _points(-row.floor)

    def _remarks(self) -> Iterator[str]:
        yield f"outputs with the chip's numbers in all layers: {share(self.all_layers)}"
        reachable = "" if self.ceiling is None else f", {self.ceiling.text}"
        yield f"outputs on the chip: {share(self.on_chip)}{reachable}"


def _points(difference: float) -> str:
    """Return a difference of agreements in points, never ``-0.0``."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def sensitivity_of(
    floats: Graph,
    quantized: Graph,
    spikes: Array,
    chip: Recording,
    lags: Mapping[str, int],
    *,
    title: str,
    ceiling: Ceiling | None = None,
) -> Sensitivity:
    """Return the loss of agreement by layer.

    Args:
        floats: the network, with the nodes of ``quantized``; its outputs are spikes.
        quantized: the same in the chip's integers.
        spikes: (batch, time, *input shape).
        chip: the chip on these spikes, all layers recorded.
        lags: timesteps by which each layer of the chip is later.
        title: of the chip.
        ceiling: agreement that rounding of the weights alone would leave.
    """
    parts = {name: _nodes_of(floats, name) for name in floats.of(Neuron)}
    every = set().union(*parts.values())
    wanted, full = (interpret(graph, spikes, record=True) for graph in (floats, quantized))
    layers = []
    for name, nodes in parts.items():
        alone = interpret(_with(floats, quantized, nodes), spikes, record=True)
        others = interpret(_with(floats, quantized, every - nodes), spikes)
        own, reached, ideal = (
            _agreement(wanted.layers[name].spikes, run.layers[name].spikes, lag)
            for run, lag in ((alone, 0), (chip, lags.get(name, 0)), (full, 0))
        )
        layers.append(
            LayerSensitivity(
                layer=name,
                only=_agreement(wanted.spikes, alone.spikes),
                all_but=_agreement(wanted.spikes, others.spikes),
                own=own,
                accumulated=reached,
                floor=ideal - reached,
            )
        )
    layers.sort(key=lambda each: (-each.all_but, each.only))
    lag = max((lags.get(name, 0) for name in quantized.outputs), default=0)
    return Sensitivity(
        chip=title,
        samples=len(spikes),
        steps=spikes.shape[1],
        layers=tuple(layers),
        all_layers=_agreement(wanted.spikes, full.spikes),
        on_chip=_agreement(wanted.spikes, chip.spikes, lag),
        ceiling=ceiling,
    )


def _with(floats: Graph, quantized: Graph, nodes: set[str]) -> Graph:
    """Return the float network with some nodes of the quantized one."""
    return floats.replace({name: quantized[name] for name in nodes})


def _nodes_of(graph: Graph, neuron: str) -> set[str]:
    """Return the neurons and all nodes through which spikes reach them."""
    found, waiting = {neuron}, [edge.pre for edge in graph.pre(neuron)]
    while waiting:
        name = waiting.pop()
        if name in found or name == graph.input or isinstance(graph[name], Neuron):
            continue
        found.add(name)
        waiting += [edge.pre for edge in graph.pre(name)]
    return found


def _agreement(wanted: Array, got: Array, lag: int = 0) -> float:
    """Return the agreement of the counts of a layer that runs ``lag`` timesteps later."""
    wanted, got = (spikes.reshape(*spikes.shape[:2], -1) for spikes in (wanted, got))
    return count_agreement(*aligned(wanted, got, lag))

"""Layers and connections of a program that is trained, in the order of its backward pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.chips.xylo.faults import REGISTERS, SHIFTS
from toolchain.chips.xylo.lower.blocks import Block, register_blocks
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import Arrangement, arrange
from toolchain.chips.xylo.population import Population
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph

__all__ = ["Structure", "TrainedLayer", "structure_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedLayer:
    """A population with its decays.

    Attributes:
        name: the user's name.
        shape: shape of the layer.
        place: neuron ids.
        fires: False for an output that is read as a state.
        cap: most spikes of a neuron in a step.
        keep_mem: (neurons,) float32, factor that the membrane keeps over a step; 0 where the
            current is read.
        keep_syn: (neurons, synapses) float32, the same of each current.
        target: layer that receives its spikes as its own, or None.
    """

    name: str
    shape: Shape
    place: Population
    fires: bool
    cap: int
    keep_mem: Array
    keep_syn: Array
    target: str | None

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.place.stop - self.place.start

    @property
    def ids(self) -> slice:
        """Neuron ids of its role."""
        return slice(self.place.start, self.place.stop)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Structure:
    """A program as layers and connections.

    Attributes:
        graph: the quantized graph.
        program: the program.
        layers: layers by name, producers first.
        blocks: connections with their registers, without those that aliases replace.
        groups: layers that influence each other, in the order of the backward pass: each group
            after those that it feeds, and within a group the receivers of aliases first.
    """

    graph: Graph
    program: XyloProgram
    layers: Mapping[str, TrainedLayer]
    blocks: tuple[Block, ...]
    groups: tuple[tuple[str, ...], ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output layers."""
        return tuple(n for n, each in self.layers.items() if each.place.role == "output")


def structure_of(program: XyloProgram, chip: XyloChip, quantized: Graph) -> Structure:
    """Return the layers of a program that was lowered from ``quantized``.

    Raises:
        ValueError: lowering ``quantized`` gives another program.
    """
    lowered = lower(quantized, chip)
    _check_same(program, lowered)
    program = lowered  # its shifts are the smallest
    arranged = arrange(read_layers(quantized), chip)
    places = {p.name: p for p in arranged.populations}
    layers = {name: _layer(program, places[name], arranged) for name in arranged.layers.neurons}
    blocks = tuple(register_blocks(arranged.layers, places, program.synapses))
    return Structure(
        graph=quantized,
        program=program,
        layers=layers,
        blocks=blocks,
        groups=_groups(layers, blocks),
    )


def _check_same(program: XyloProgram, lowered: XyloProgram) -> None:
    """Check that two programs compute the same; shifts of weights may differ.

    Raises:
        ValueError: they differ; the message names the fields.
    """
    different = [
        f.name
        for f in fields(XyloProgram)
        if f.name not in SHIFTS and not _same(program, lowered, f.name)
    ]
    if not different:
        return
    why = ""
    if any(program.aliases) and not any(lowered.aliases):
        why = " (aliases of a finished program become connections)"
    raise ValueError(
        f"this {program.chip} program cannot be trained: lowering its network gives other "
        f"{', '.join(different)}{why}; deploy the network instead of the finished program"
    )


def _same(one: XyloProgram, other: XyloProgram, field: str) -> bool:
    a, b = getattr(one, field), getattr(other, field)
    if field not in REGISTERS:
        return bool(a == b)
    shift = field.replace("weights", "weight_shift")
    if shift in SHIFTS:
        a = a.astype(np.int64) << getattr(one, shift)
        b = b.astype(np.int64) << getattr(other, shift)
    return np.array_equal(a, b)


def _layer(program: XyloProgram, place: Population, arranged: Arrangement) -> TrainedLayer:
    node = arranged.layers.neurons[place.name]
    ids = slice(place.start, place.stop)
    output = place.role == "output"
    suffix = "_out" if output else ""
    decays = [getattr(program, f"dash_syn{suffix}")[ids]]
    if node.synapses > 1 and not output:
        decays.append(program.dash_syn_2[ids])
    keep_mem = _kept(getattr(program, f"dash_mem{suffix}")[ids])
    if output and program.readout == "i_syn":
        keep_mem = np.zeros_like(keep_mem)
    return TrainedLayer(
        name=place.name,
        shape=node.shape,
        place=place,
        fires=not output or program.readout == "spikes",
        cap=program.max_output_spikes if output else program.max_hidden_spikes,
        keep_mem=keep_mem,
        keep_syn=np.stack([_kept(each) for each in decays], axis=1),
        target=arranged.aliases.get(place.name),
    )


def _kept(dash: Array) -> Array:
    """Return the share of a state that remains after a step: without rounding, 1 - 2**-dash."""
    return (1 - np.exp2(-dash.astype(np.float64))).astype(np.float32)


def _groups(
    layers: Mapping[str, TrainedLayer], blocks: Iterable[Block]
) -> tuple[tuple[str, ...], ...]:
    """Return the layers in groups; see ``Structure``."""
    fed: dict[str, set[str]] = {name: set() for name in layers}
    for block in blocks:
        if block.projection.pre in fed:
            fed[block.projection.pre].add(block.projection.post)
    for name, layer in layers.items():
        if layer.target is not None:
            fed[name].add(layer.target)
    reached = {name: _reached(fed, name) for name in layers}
    groups: list[tuple[str, ...]] = []
    waiting = list(layers)
    while waiting:
        name = next(n for n in waiting if not _open(reached, n) & set(waiting))
        group = {name} | {n for n in reached[name] if name in reached[n]}
        # aliases lead to higher ids
        groups.append(tuple(sorted(group, key=lambda n: -layers[n].place.start)))
        waiting = [n for n in waiting if n not in group]
    return tuple(groups)


def _open(reached: Mapping[str, set[str]], name: str) -> set[str]:
    """Return the layers that ``name`` influences and that do not influence it."""
    return {other for other in reached[name] if name not in reached[other]} - {name}


def _reached(fed: Mapping[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    waiting = list(fed[name])
    while waiting:
        following = waiting.pop()
        if following not in found:
            found.add(following)
            waiting += fed[following]
    return found

"""Neuron ids of layers, and the layers that pass their spikes on through aliases.

Hidden layers take consecutive ids. On Audio 2 any order works, and the network's own is kept except
for aliases, whose source precedes its target. On IMU and Audio 3 the input reaches only the
first ids and only the last ids reach the outputs. There the order is

    read by the input | some of the rest | read by both | others of the rest | read by the outputs

Layers connected to the input alone are first and those connected to the outputs alone last: moving
one of them there from another position widens neither window. The only freedom is on which side of
the layers that need both windows the rest is placed; there it counts against one window or the
other. All sums of sizes of the rest are tried, so if any order of whole layers is within both
windows, this one is. Output neurons have ids of their own.

Source: Rockpool documentation, Xylo family overview.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

from toolchain.chips.xylo.lower.aliases import find_aliases, without_copies
from toolchain.chips.xylo.lower.layers import DenseLayers
from toolchain.chips.xylo.program import Population
from toolchain.chips.xylo.spec import XyloChip

__all__ = ["Arrangement", "allocate", "arrange"]

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrangement:
    """Neuron ids, projections and aliases of the layers.

    Attributes:
        layers: the network without the projections that aliases replace.
        aliases: layer to the layer that passes its spikes on, neuron by neuron.
        populations: ids; each alias leads to a higher one.
    """

    layers: DenseLayers
    aliases: Mapping[str, str]
    populations: tuple[Population, ...]


def arrange(layers: DenseLayers, chip: XyloChip) -> Arrangement:
    """Return aliases and ids for ``layers``.

    An alias whose source would have to follow its target, to be within reach of the outputs, is
    left out; its connections stay.
    """
    aliases = find_aliases(layers, chip)
    while True:
        sparse = without_copies(layers, aliases)
        populations = allocate(sparse, chip, aliases)
        start = {p.name: p.start for p in populations}
        forward = {a: b for a, b in aliases.items() if start[a] < start[b]}
        if forward == aliases:
            return Arrangement(layers=sparse, aliases=aliases, populations=populations)
        aliases = forward


def allocate(
    layers: DenseLayers, chip: XyloChip, aliases: Mapping[str, str] = NONE
) -> tuple[Population, ...]:
    """Return one population a layer, hidden ones in the order of their ids, then the outputs."""
    populations: list[Population] = []
    start = 0
    for name in _order(layers, chip, aliases):
        stop = start + _size(layers, name)
        populations.append(Population(name=name, role="hidden", start=start, stop=stop))
        start = stop
    start = 0
    for name in layers.outputs:
        stop = start + _size(layers, name)
        populations.append(Population(name=name, role="output", start=start, stop=stop))
        start = stop
    return tuple(populations)


def _order(layers: DenseLayers, chip: XyloChip, aliases: Mapping[str, str]) -> list[str]:
    names = _sources_first([n for n in layers.neurons if n not in layers.outputs], aliases)
    limits = chip.limits
    reach_in, reach_out = int(limits.input_expansion.value), int(limits.output_expansion.value)
    if min(reach_in, reach_out) >= limits.hidden_neurons.value:
        return names
    first, both, rest, last = (
        [name for name in names if _windows(layers, name) == windows]
        for windows in ((True, False), (True, True), (False, False), (False, True))
    )
    before = rest
    if both:
        needed = _total(layers, both)
        before = _part(
            {name: _size(layers, name) for name in rest},
            least=_total(layers, rest) + needed + _total(layers, last) - reach_out,
            most=reach_in - _total(layers, first) - needed,
        )
    after = [name for name in rest if name not in before]
    return [*first, *before, *both, *after, *last]


def _sources_first(names: list[str], aliases: Mapping[str, str]) -> list[str]:
    """Return ``names`` in order, but each after the layers that pass it their spikes."""
    ordered: list[str] = []
    while names:
        waiting = {aliases[name] for name in names if name in aliases}
        name = next(name for name in names if name not in waiting)
        names = [other for other in names if other != name]
        ordered.append(name)
    return ordered


def _windows(layers: DenseLayers, name: str) -> tuple[bool, bool]:
    """Return whether the input feeds a layer, and whether the layer feeds the outputs."""
    from_input = any(p.pre == layers.input for p in layers.into(name))
    to_output = any(p.post in layers.outputs for p in layers.out_of(name))
    return from_input, to_output


def _part(sizes: Mapping[str, int], least: int, most: int) -> list[str]:
    """Return some of the layers, ``least`` to ``most`` neurons together and as many as possible.

    All of them where no selection is within these bounds. Of layers of one size the first are
    selected, so that aliases, whose ends have one size, still lead forward.
    """
    sums: dict[int, tuple[int, ...]] = {0: ()}
    for size in sizes.values():
        sums |= {
            total + size: (*parts, size)
            for total, parts in sums.items()
            if total + size <= most and total + size not in sums
        }
    best = max(sums)
    if not least <= best <= most:
        return [*sizes]
    quota = Counter(sums[best])
    chosen = []
    for name, size in sizes.items():
        if quota[size]:
            quota[size] -= 1
            chosen.append(name)
    return chosen


def _size(layers: DenseLayers, name: str) -> int:
    return prod(layers.neurons[name].shape)


def _total(layers: DenseLayers, names: list[str]) -> int:
    return sum(_size(layers, name) for name in names)

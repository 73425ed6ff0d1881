"""Aliases: layers whose spikes count as spikes of another layer, neuron by neuron.

A residual block is a sum of the spikes of two layers before a weight. As dense weights, each of the
two has connections of its own to every target of that weight. Where one layer feeds all that the
other feeds, through the same weights, its neurons can instead pass their spikes to those of the
other in the same timestep, which sends them on with its own: the same input for half the
connections.

Two things differ: the chip's cap of spikes per step then applies to the sum, and spikes arrive in
another order, which matters only in states that saturate.

Source: Rockpool documentation (residual blocks on Xylo), xylosim 0.1.3 as observed (order, cap).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.lower.layers import DenseLayers, Projection
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip

__all__ = ["find_aliases", "own_spikes", "received_by", "saved_entries", "without_copies"]


def find_aliases(layers: DenseLayers, chip: XyloChip) -> dict[str, str]:
    """Return each layer that can pass its spikes to another, with that other; without loops.

    The other layer, the target, has as many neurons, and the first feeds everything that the target
    feeds, through the same weights; a target that feeds itself is therefore fed by the first, too.
    Of several targets the one that feeds most neurons is chosen, of equals the first in the
    network.

    Delays are not compared: they agree on all paths that the chip can keep (``path_lengths``).
    """
    if chip.limits.alias_targets.value < 1:
        return {}
    hidden = [name for name in layers.neurons if name not in layers.outputs]
    fed = {name: _fed_by(layers, name) for name in hidden}
    found: dict[str, str] = {}
    for place, source in enumerate(hidden):
        fit = [
            target
            for there, target in enumerate(hidden)
            if fed[target]
            and _size(layers, target) == _size(layers, source)
            and (fed[target] < fed[source] or (fed[target] == fed[source] and there > place))
        ]
        if fit:
            found[source] = max(fit, key=lambda name: _reach(layers, fed[name]))
    return found


def without_copies(layers: DenseLayers, aliases: Mapping[str, str]) -> DenseLayers:
    """Return ``layers`` without the projections that ``aliases``, source to target, replace."""
    spared = {
        (source, *projection)
        for source, target in aliases.items()
        for projection in _fed_by(layers, target)
    }
    kept = tuple(p for p in layers.projections if (p.pre, p.name, p.post) not in spared)
    return replace(layers, projections=kept)


def received_by(name: str, aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Return the layers whose spikes are passed on by ``name``, through chains too, sorted."""
    direct = [source for source, target in aliases.items() if target == name]
    return tuple(sorted({*direct, *(s for d in direct for s in received_by(d, aliases))}))


def saved_entries(layers: DenseLayers, target: str) -> tuple[int, int]:
    """Return the recurrent entries and output weights that an alias to ``target`` saves.

    Counted before quantization: weights that it rounds to 0 would have cost nothing.
    """
    totals = [0, 0]
    for projection in layers.out_of(target):
        totals[projection.post in layers.outputs] += _entries(layers, projection)
    return totals[0], totals[1]


def own_spikes(program: XyloProgram, spikes: Array) -> Array:
    """Return recorded hidden spikes (..., hidden) without those received through aliases.

    Requires: aliases to higher ids, as this module creates them; the chip counts these first, up to
    its cap.
    """
    pairs = [(pre, post) for pre, targets in enumerate(program.aliases) for post in targets]
    if not pairs:
        return spikes
    received = np.zeros(spikes.shape, np.int64)
    for pre, post in pairs:
        received[..., post] += spikes[..., pre]
    own = spikes - np.minimum(received, program.max_hidden_spikes)
    return np.asarray(own.astype(spikes.dtype))


def _fed_by(layers: DenseLayers, name: str) -> frozenset[tuple[str, str]]:
    return frozenset((p.name, p.post) for p in layers.out_of(name))


def _size(layers: DenseLayers, name: str) -> int:
    return prod(layers.neurons[name].shape)


def _reach(layers: DenseLayers, fed: frozenset[tuple[str, str]]) -> int:
    """Return the number of target neurons."""
    return sum(_size(layers, post) for _, post in fed)


def _entries(layers: DenseLayers, projection: Projection) -> int:
    """Return the number of connected pairs of neurons, on one synapse or on both."""
    pairs = projection.weight.reshape(
        _size(layers, projection.post), -1, projection.weight.shape[1]
    )
    return int(pairs.any(axis=1).sum())

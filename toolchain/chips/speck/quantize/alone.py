"""The run of one layer alone on the chip, with many candidates of its integers at a time.

A layer is scored on its input spikes in the float network, so that the errors of other layers do
not hide its own. Sums, clamps and spikes are those of the simulator in clocked timing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.compiled.width import LANES
from toolchain.chips.speck.quantize.layer import CoreLayer, Integers
from toolchain.chips.speck.quantize.map_events import geometry_of, map_events, scratch
from toolchain.chips.speck.quantize.measure import LayerTrace
from toolchain.chips.speck.quantize.operands import CandidateNeurons, MapEvents, Totals

__all__ = ["ScoredIntegers", "respond"]

BLOCK = 2**17
"""Bytes of the weights of candidates that are run side by side: they stay in a core's cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredIntegers:
    """Integers of a layer and their score when the layer runs alone.

    Attributes:
        integers: the integers.
        agreement: agreement of its spike counts with the float layer's on the same input, 0..1.
        saturations: number of times that a membrane was clamped to its word.
        silent: True if the layer has no spikes, which tell no agreement.
    """

    integers: Integers
    agreement: float
    saturations: int
    silent: bool = False


def respond(
    layer: CoreLayer, candidates: Sequence[Integers], trace: LayerTrace
) -> list[ScoredIntegers]:
    """Run the layer with each of the ``candidates``, and return them with their scores."""
    size = max(1, BLOCK // layer.conv.weight.size)
    blocks = [candidates[at : at + size] for at in range(0, len(candidates), size)]
    totals = [Totals(*np.zeros((3, len(block)), np.int64)) for block in blocks]
    for group in range(layer.conv.groups):
        neurons = [_neurons(layer, block, group) for block in blocks]
        work = partial(_run_sample, layer, group, trace, neurons, [len(b) for b in blocks])
        for found in each(work, range(len(trace.inputs)), None):
            for total, more in zip(totals, found, strict=True):
                for sums, addends in zip(total, more, strict=True):
                    sums += addends
    silent = not trace.spikes.any()
    apart, most, saturations = (
        np.concatenate(parts).tolist() for parts in zip(*totals, strict=True)
    )
    rows = zip(candidates, apart, most, saturations, strict=True)
    return [_scored(*row, silent=silent) for row in rows]


def _scored(
    integers: Integers, apart: int, most: int, saturations: int, *, silent: bool
) -> ScoredIntegers:
    """Return the score as ``count_agreement`` defines it."""
    agreement = 1.0 - apart / most if most else 1.0
    return ScoredIntegers(
        integers=integers,
        agreement=agreement,
        saturations=saturations,
        silent=silent and agreement == 1,
    )


def _run_sample(
    layer: CoreLayer,
    group: int,
    trace: LayerTrace,
    blocks: list[CandidateNeurons],
    sizes: list[int],
    sample: int,
) -> list[Totals]:
    """Run every block of candidates on one sample."""
    counts = np.split(trace.inputs[sample], layer.conv.groups, axis=1)[group]
    wanted = np.split(trace.spikes[sample], layer.conv.groups, axis=1)[group]
    return _compared(layer, map_events(counts), counts.shape, wanted, blocks, sizes)


def _compared(
    layer: CoreLayer,
    events: MapEvents,
    shape: tuple[int, ...],
    spikes: Array,
    blocks: list[CandidateNeurons],
    sizes: list[int],
) -> list[Totals]:
    # numba takes a third of a second to import; a refusal needs none of it
    from toolchain.chips.speck.quantize import kernel

    geometry = geometry_of(layer.conv, shape)
    sums = spikes.sum(axis=0, dtype=np.int64)  # (outputs, y, x)
    wanted = np.ascontiguousarray(sums.reshape(len(sums), -1).T)
    found = []
    for neurons, size in zip(blocks, sizes, strict=True):
        totals = Totals(*np.zeros((3, size), np.int64))
        room = scratch(layer.conv, neurons.bias.size)
        kernel.compare(events, geometry, neurons, wanted, room, totals)
        found.append(totals)
    return found


def _neurons(layer: CoreLayer, candidates: Sequence[Integers], group: int) -> CandidateNeurons:
    """Return the integers of one group of the layer for all candidates, by lane."""
    outputs = len(layer.conv.weight) // layer.conv.groups
    own = slice(group * outputs, (group + 1) * outputs)
    # (candidates, outputs, inputs, y, x), then [y][x][input][candidate, output]
    weights = np.stack([one.weight[own] for one in candidates]).transpose(3, 4, 2, 0, 1)
    taps = prod(layer.conv.weight.shape[1:])
    bias = _by_lane([0 if one.bias is None else one.bias[own] for one in candidates], outputs)
    thresholds = [int(one.threshold.flat[0]) for one in candidates]
    assert max(thresholds) <= np.iinfo(np.int16).max
    floors = [-32768 if one.floor is None else min(0, one.floor.flat[0]) for one in candidates]
    threshold = _by_lane(thresholds, outputs)
    threshold[len(candidates) * outputs :] = np.iinfo(np.int16).max  # no other lane fires
    return CandidateNeurons(
        weights=_padded(weights.reshape(taps, -1)).astype(np.int8).ravel(),
        bias=bias,
        peak=int(np.abs(bias.astype(np.int64)).max()),
        threshold=threshold,
        floor=_by_lane(np.maximum(floors, -32768).tolist(), outputs),
        initial=_initial(layer, candidates, own),
        to_zero=layer.neuron.reset != "subtract",
    )


def _by_lane(values: Sequence[Array | int], outputs: int) -> Array:
    """Return a number or (outputs,) of each candidate, int16 (lanes,)."""
    rows = np.stack([np.broadcast_to(value, outputs) for value in values])
    return _padded(rows.reshape(-1)).astype(np.int16)


def _initial(layer: CoreLayer, candidates: Sequence[Integers], own: slice) -> Array:
    """Return the first membranes, int16 (positions, lanes), or (1, lanes) where all are 0."""
    outputs = own.stop - own.start
    if not np.any(layer.neuron.v_init):
        return _padded(np.zeros((1, len(candidates) * outputs), np.int16))
    maps = [np.broadcast_to(one.initial, layer.neuron.shape)[own] for one in candidates]
    rows = np.stack(maps).reshape(len(candidates) * outputs, -1).T
    return np.ascontiguousarray(_padded(rows).astype(np.int16))


def _padded(values: Array) -> Array:
    """Append zeros to the last axis up to a multiple of the lanes."""
    missing = -values.shape[-1] % LANES
    return np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, missing)])

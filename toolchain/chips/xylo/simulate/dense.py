"""The Xylo core with 32 neurons in the lanes, for one sample after the other.

Each block of neurons receives the spikes of all sources, then decays, integrates and fires, so that
its states stay in registers. The order of the loops gives the results of
:mod:`toolchain.chips.xylo.simulate.twin` for these reasons:

- The order in which spikes arrive matters only to the neuron that receives them, and it is that
  of the source ids, in which the sources are listed.
- Several spikes of one source add the same weight several times, always in one direction, so
  that one saturating addition of the product is the same.
- Aliases pass on spike counts and change neither currents nor membranes, so that all neurons can
  integrate first; those with an alias fire again afterwards, in id order.
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, paste
from toolchain.chips.compiled.lanes import LANES
from toolchain.chips.xylo.simulate import arithmetic
from toolchain.chips.xylo.simulate.tables import (
    ACTIVE_STEPS,
    ALIAS_TABLE,
    ALIASES,
    BIAS,
    BIASED,
    BLOCKS,
    CUT,
    DASH_MEM,
    DASH_SYN,
    DASH_SYN_2,
    FIRED,
    FLUSH,
    HIDDEN,
    HIDDEN_BLOCKS,
    HIDDEN_CAP,
    INPUT_BLOCKS,
    INPUTS,
    OUTPUT_CAP,
    RANGE,
    RANGES,
    SUMS,
    THRESHOLD,
    UNFIRED,
)

__all__ = ["run"]

INLINED = "2926fe670388"
"""Digest of the other files that are compiled into this one; see ``cache``."""

HIGH = 32767


@paste
def _list_sources(
    counts: Array, row: int, core: Array, pending: int, sizes: Array, lists: Array
) -> tuple[int, int]:
    """List the sources that spike: where their weights start, their counts, each block's first.

    Args:
        counts: of the inputs, uint8.
        row: where in it the channels of this step are.
        core: the state, with the hidden spikes of the step before.
        pending: where in it these are.
        sizes: see ``tables``.
        lists: the lists, one after the other.

    Returns:
        The number of sources, and of spikes beyond the first of a source.
    """
    in_blocks, blocks = sizes[INPUT_BLOCKS], sizes[INPUT_BLOCKS] + sizes[HIDDEN_BLOCKS]
    width = sizes[BLOCKS] * LANES
    times, starts = blocks * LANES, 2 * blocks * LANES
    found = 0
    extra = 0
    for block in range(blocks):
        lists[starts + block] = found
        if block >= in_blocks:
            at = pending + (block - in_blocks) * LANES
            bits = lanes.nonzero(lanes.load(core, at))
        else:
            at = row + block * LANES
            channels = min(LANES, sizes[INPUTS] - block * LANES)
            bits = 0
            if at + LANES <= counts.size:
                bits = lanes.nonzero(lanes.load(counts, at)) & ((1 << channels) - 1)
            else:
                for channel in range(channels):
                    bits |= (lanes.get(counts, at + channel) != 0) << channel
        while bits != 0:
            lane = lanes.lowest(bits)
            if block < in_blocks:
                number = lanes.get(counts, at + lane)
            else:
                number = lanes.get(core, at + lane)
            lists[found] = (block * LANES + lane) * width
            lists[times + found] = number
            extra += number - 1
            found += 1
            bits &= bits - 1
    lists[starts + blocks] = found
    return found, extra


@paste
def _receive(
    state: Any,
    block: int,
    weights: Array,
    plane: int,
    sizes: Array,
    lists: Array,
    extra: int,
    counting: bool,
) -> tuple[Any, Any]:
    """Add the spikes of all sources to the currents of a block.

    Args:
        state: the currents.
        block: the block of neurons.
        weights: of all synapses.
        plane: where those of this synapse start.
        sizes: see ``tables``.
        lists: see ``_list_sources``.
        extra: number of spikes beyond the first of a source.
        counting: whether the additions that a limit cuts are counted.

    Returns:
        The currents, and the number of cut additions.
    """
    sources = (sizes[INPUT_BLOCKS] + sizes[HIDDEN_BLOCKS]) * LANES
    plane += block * LANES
    zero = lanes.zeros(state)
    cut = zero
    for kind in range(2):
        at = RANGES + RANGE * (2 * block + kind)
        factor, largest = sizes[at], sizes[at + 1]
        first, stop = lists[2 * sources + sizes[at + 2]], lists[2 * sources + sizes[at + 3]]
        reach = (stop - first + extra) * largest
        far = False
        if counting or extra != 0:
            far = reach > HIGH or lanes.nonzero(arithmetic.near_limit(state, reach)) != 0
        if far:
            for k in range(first, stop):
                weight = lanes.load_as(weights, plane + lists[k], zero)
                weight = lanes.multiply(weight, factor)
                state, hit = arithmetic.add_times(state, weight, lists[sources + k])
                cut = lanes.add(cut, hit)
        elif extra != 0:
            # no sum reaches a limit, so that the products may wrap in between
            for k in range(first, stop):
                weight = lanes.load_as(weights, plane + lists[k], zero)
                weight = lanes.multiply(weight, factor * lists[sources + k])
                state = lanes.add(state, weight)
        else:
            for k in range(first, stop):
                weight = lanes.load_as(weights, plane + lists[k], zero)
                state = lanes.add_saturating(state, lanes.multiply(weight, factor))
    return state, cut


@paste
def _pass_on(
    sizes: Array, constants: Array, scratch: Array, core: Array, v_at: int, spikes_at: int
) -> None:
    """Pass spikes on, in id order; a target fires again with the spikes received before."""
    cap = sizes[HIDDEN_CAP]
    width = sizes[BLOCKS] * LANES
    at = sizes[ALIAS_TABLE]
    for _ in range(sizes[ALIASES]):
        if sizes[at + 1]:
            core[spikes_at + sizes[at]] = 0
        at += 3 + sizes[at + 2]
    at = sizes[ALIAS_TABLE]
    for _ in range(sizes[ALIASES]):
        n = sizes[at]
        number = lanes.get(core, spikes_at + n)
        if sizes[at + 1]:
            v = lanes.get(scratch, UNFIRED * width + n)
            threshold = lanes.get(constants, THRESHOLD * width + n)
            while v >= threshold and number < cap:
                number += 1
                v = np.int64(np.int16(v - threshold))
            core[v_at + n] = v
            core[spikes_at + n] = number
        # taken before: a neuron that is its own target passes on what it had until now
        for k in range(sizes[at + 2]):
            target = spikes_at + sizes[at + 3 + k]
            core[target] = min(cap, lanes.get(core, target) + number)
        at += 3 + sizes[at + 2]


@paste
def _record_spikes(to: Array, row: int, stop: int, neurons: int, core: Array, at: int) -> None:
    """Record the spikes of a step, of which those after ``neurons`` are overwritten by the next.

    Args:
        to: the recording, flat in memory.
        row: where the step starts in it.
        stop: where the sample ends in it; nothing is written from there on.
        neurons: number of neurons.
        core: the state.
        at: where in it the spikes are.
    """
    for j in range(0, neurons, LANES):
        if row + j + LANES <= stop:
            lanes.store_as(to, row + j, lanes.load(core, at + j))
        else:
            for n in range(j, neurons):
                lanes.put(to, row + n, lanes.get(core, at + n))
            break


@paste
def _record_states(
    to: Array, wanted: Array, sample: int, step: int, steps: int, core: Array
) -> None:
    """Record the states of a step; each row of ``wanted`` has their place, number and place in to.

    As with spikes, what is written past a row is overwritten by the next one.
    """
    for w in range(wanted.shape[0]):
        at, neurons, base = wanted[w, 0], wanted[w, 1], wanted[w, 2]
        row = base + (sample * steps + step) * neurons
        stop = base + (sample + 1) * steps * neurons
        for j in range(0, neurons, LANES):
            if row + j + LANES <= stop:
                lanes.store(to, row + j, lanes.load(core, at + j))
            else:
                for n in range(j, neurons):
                    to[row + n] = core[at + n]
                break


@paste
def _sum_up(scratch: Array, width: int, core: Array, spikes_at: int, neurons: int) -> None:
    """Add the spikes of a step, and the step if there are any, to the counters of each neuron."""
    for j in range(0, neurons, LANES):
        number = lanes.load(core, spikes_at + j)
        at = FIRED * width + j
        lanes.store(scratch, at, lanes.add(lanes.load(scratch, at), number))
        at, fired = ACTIVE_STEPS * width + j, lanes.not_equal(number, 0)
        lanes.store(scratch, at, lanes.subtract(lanes.load(scratch, at), fired))


@paste
def _evolve(
    weights: Array,
    constants: Array,
    sizes: Array,
    core: Array,
    lists: Array,
    scratch: Array,
    extra: int,
    counting: bool,
    two: Any,
    first_core: Any,
) -> Any:
    """Deliver the listed spikes and simulate all neurons; return what is not 0 if a state moved."""
    blocks, hidden_blocks = sizes[BLOCKS], sizes[HIDDEN_BLOCKS]
    width = blocks * LANES
    plane = (sizes[INPUT_BLOCKS] + hidden_blocks) * LANES * width
    v_at = width
    if two is not None:
        v_at = 2 * width
    moved = lanes.zeros(core)
    for block in range(blocks):
        j = block * LANES
        i = lanes.load(core, j)
        i, cut = _receive(i, block, weights, 0, sizes, lists, extra, counting)
        i2 = i
        if two is not None:
            i2 = lanes.load(core, width + j)
            i2, more = _receive(i2, block, weights, plane, sizes, lists, extra, counting)
            cut = lanes.add(cut, more)
        threshold = lanes.load(constants, THRESHOLD * width + j)
        i, i2, unfired, v, number, over, change, more = arithmetic.update(
            i,
            i2,
            lanes.load(core, v_at + j),
            lanes.load(constants, DASH_SYN * width + j),
            lanes.load(constants, DASH_SYN_2 * width + j),
            lanes.load(constants, DASH_MEM * width + j),
            lanes.load(constants, BIAS * width + j),
            threshold,
            two,
            first_core,
        )
        moved = lanes.either(moved, change)
        cap = sizes[HIDDEN_CAP] if block < hidden_blocks else sizes[OUTPUT_CAP]
        v, number = arithmetic.fire_more(v, threshold, number, over, cap)
        lanes.store(core, j, i)
        if two is not None:
            lanes.store(core, width + j, i2)
        lanes.store(core, v_at + j, v)
        lanes.store(core, v_at + width + j, number)
        if sizes[ALIASES]:
            lanes.store(scratch, UNFIRED * width + j, unfired)
        if counting:
            cut = lanes.add(cut, more)
            if lanes.nonzero(cut) != 0:
                at = CUT * width + j
                lanes.store(scratch, at, lanes.add(lanes.load(scratch, at), cut))
    return moved


@paste
def _emit(spikes: Array, row: int, sizes: Array, core: Array, spikes_at: int) -> None:
    """Write the output spikes of a step to the row that starts at ``row``."""
    for block in range(sizes[HIDDEN_BLOCKS], sizes[BLOCKS]):
        at = spikes_at + block * LANES
        bits = lanes.nonzero(lanes.load(core, at))
        while bits != 0:
            lane = lanes.lowest(bits)
            n = (block - sizes[HIDDEN_BLOCKS]) * LANES + lane
            lanes.put(spikes, row + n, lanes.get(core, at + lane))
            bits &= bits - 1


@paste
def _flush(scratch: Array, width: int, totals: Array, row: int) -> None:
    """Add the counters to those of the recording, which start at ``row``, and empty them."""
    for n in range(3 * width):
        total = lanes.get(totals, row + n) + lanes.get(scratch, SUMS * width + n)
        lanes.put(totals, row + n, total)
        scratch[SUMS * width + n] = 0


@compiled_bare(title="the simulator of Xylo", seconds=2.0)
def run(
    weights: Array,
    constants: Array,
    sizes: Array,
    counts: Array,
    spikes: Array,
    cores: Array,
    lists: Array,
    scratch: Array,
    first_sample: int,
    stop_sample: int,
    first_step: int,
    stop_step: int,
    two: Any,
    first_core: Any,
    hidden_spikes: Any,
    states: Any,
    wanted: Any,
    hibernation: Any,
    totals: Any,
) -> None:
    """Simulate some steps of some samples, one sample after the other.

    ``two`` and ``first_core`` are those of the tables. Where ``hidden_spikes`` is None nothing but
    ``spikes`` is recorded; then all arrays from there on must be None. Each combination is compiled
    by itself, without the code for the others.
    """
    hidden, width = sizes[HIDDEN], sizes[BLOCKS] * LANES
    steps, channels, outputs = counts.shape[1], counts.shape[2], spikes.shape[2]
    v_at = width
    if two is not None:
        v_at = 2 * width
    spikes_at = v_at + width
    counting = False
    if hidden_spikes is not None:
        counting = True
        scratch[SUMS * width : (SUMS + 3) * width] = 0
    for sample in range(first_sample, stop_sample):
        core = cores[sample]
        sleeping = core[spikes_at + width] != 0
        for step in range(first_step, stop_step):
            row = sample * steps + step
            found, extra = _list_sources(counts, row * channels, core, spikes_at, sizes, lists)
            moved = _evolve(
                weights,
                constants,
                sizes,
                core,
                lists,
                scratch,
                extra,
                counting,
                two,
                first_core,
            )
            if sizes[ALIASES]:
                _pass_on(sizes, constants, scratch, core, v_at, spikes_at)
            _emit(spikes, row * outputs, sizes, core, spikes_at)
            active = found > 0 or lanes.nonzero(moved) != 0
            if hidden_spikes is not None:
                # with a bias the core tests the step before, unless a spike wakes it
                waking = sleeping and found == 0
                hibernation[sample, step] = waking if sizes[BIASED] else not active
                stop = (sample + 1) * steps * hidden
                _record_spikes(hidden_spikes, row * hidden, stop, hidden, core, spikes_at)
                _record_states(states, wanted, sample, step, steps, core)
                _sum_up(scratch, width, core, spikes_at, hidden)
                if (step + 1) % sizes[FLUSH] == 0 or step == stop_step - 1:
                    _flush(scratch, width, totals, sample * 3 * width)
            sleeping = not active
        core[spikes_at + width] = sleeping

"""The Xylo core with up to 32 samples in the lanes, one neuron after the other; outputs only.

A spike of any sample is delivered to the source's targets in all samples at once. This needs fewer
operations than :mod:`toolchain.chips.xylo.simulate.dense` where a source has few targets or the
neurons fill their vectors badly. The results are equal for the same reasons.
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

from typing import Any

from toolchain.arrays import Array
from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled_bare, paste
from toolchain.chips.compiled.lanes import LANES
from toolchain.chips.xylo.simulate import arithmetic
from toolchain.chips.xylo.simulate.tables import (
    ALIAS_TABLE,
    ALIASES,
    BIAS,
    BLOCKS,
    DASH_MEM,
    DASH_SYN,
    DASH_SYN_2,
    HIDDEN,
    HIDDEN_BLOCKS,
    HIDDEN_CAP,
    HIDDEN_FIT,
    INPUTS,
    INPUTS_FIT,
    OUTPUT_CAP,
    OUTPUTS,
    THRESHOLD,
)

__all__ = ["CHUNK", "run"]

INLINED = "2926fe670388"
"""Digest of the other files that are compiled into this one; see ``cache``."""

CHUNK = 64
"""Timesteps whose inputs are transposed at once."""


@paste
def _transpose(counts: Array, first: int, samples: int, start: int, size: int, to: Array) -> None:
    """Transpose inputs: for each count of a sample, 32 places with those of all samples.

    Args:
        counts: of all samples, uint8.
        first: the first sample.
        samples: number of samples.
        start: where in each sample to start.
        size: number of counts a sample.
        to: int8 (size * 32,).
    """
    zero = lanes.zeros(to)
    length = counts.shape[1] * counts.shape[2]
    for j in range(0, size * LANES, LANES):
        lanes.store(to, j, zero)
    for lane in range(samples):
        at = (first + lane) * length + start
        whole = size - size % LANES
        for j in range(0, whole, LANES):
            # most counts are 0
            bits = lanes.nonzero(lanes.load(counts, at + j))
            while bits != 0:
                n = j + lanes.lowest(bits)
                to[n * LANES + lane] = lanes.get(counts, at + n)
                bits &= bits - 1
        for n in range(whole, size):
            to[n * LANES + lane] = lanes.get(counts, at + n)


@paste
def _deliver(
    core: Array, places: Array, weights: Array, source: int, number: Any, fit: int
) -> None:
    """Add the spikes of a source, ``number`` in each sample, to the currents of its targets."""
    first, stop = lanes.get(places, source), lanes.get(places, source + 1)
    if fit or lanes.nonzero(lanes.greater(number, 1)) == 0:
        for k in range(first, stop):
            at = lanes.get(places, k)
            product = lanes.multiply(number, lanes.get(weights, k))
            lanes.store(core, at, lanes.add_saturating(lanes.load(core, at), product))
    else:
        for k in range(first, stop):
            at = lanes.get(places, k)
            state = lanes.load(core, at)
            state, _ = arithmetic.add_times(state, number, lanes.get(weights, k))
            lanes.store(core, at, state)


@paste
def _deliver_all(
    places: Array,
    weights: Array,
    sizes: Array,
    core: Array,
    spikes_at: int,
    spiking: Array,
    found: int,
    arriving: Array,
    step: int,
) -> Any:
    """Deliver the inputs of a step and the spikes of ``found`` neurons; return all of them or-ed.

    The inputs are those of step ``step`` in ``arriving``.
    """
    inputs = sizes[INPUTS]
    zero = lanes.zeros(core)
    together = zero
    for n in range(inputs + found):
        if n < inputs:
            source, fit = n, sizes[INPUTS_FIT]
            number = lanes.load_as(arriving, (step * inputs + n) * LANES, zero)
        else:
            source, fit = inputs + spiking[n - inputs], sizes[HIDDEN_FIT]
            number = lanes.load(core, (spikes_at + spiking[n - inputs]) * LANES)
        if lanes.nonzero(number) != 0:
            together = lanes.either(together, number)
            _deliver(core, places, weights, source, number, fit)
    return together


@paste
def _list_spiking(core: Array, spikes_at: int, hidden: int, spiking: Array) -> int:
    """List the hidden neurons that spike in any sample; return their number."""
    found = 0
    for n in range(hidden):
        spiking[found] = n
        found += lanes.nonzero(lanes.load(core, (spikes_at + n) * LANES)) != 0
    return found


@paste
def _pass_on(
    sizes: Array, constants: Array, unfired: Array, core: Array, v_at: int, spikes_at: int
) -> None:
    """Pass spikes on, in id order; a target fires again with the spikes received before."""
    cap = sizes[HIDDEN_CAP]
    width = sizes[BLOCKS] * LANES
    zero = lanes.zeros(core)
    at = sizes[ALIAS_TABLE]
    for _ in range(sizes[ALIASES]):
        if sizes[at + 1]:
            lanes.store(core, (spikes_at + sizes[at]) * LANES, zero)
        at += 3 + sizes[at + 2]
    at = sizes[ALIAS_TABLE]
    for _ in range(sizes[ALIASES]):
        n = sizes[at]
        number = lanes.load(core, (spikes_at + n) * LANES)
        if sizes[at + 1]:
            v = lanes.load(unfired, n * LANES)
            threshold = lanes.get(constants, THRESHOLD * width + n)
            over = lanes.both(lanes.at_least(v, threshold), lanes.below(number, cap))
            while lanes.nonzero(over) != 0:
                v, number, over = arithmetic.fire_again(v, threshold, number, over)
                over = lanes.both(over, lanes.below(number, cap))
            lanes.store(core, (v_at + n) * LANES, v)
            lanes.store(core, (spikes_at + n) * LANES, number)
        # taken before: a neuron that is its own target passes on what it had until now
        for k in range(sizes[at + 2]):
            target = (spikes_at + sizes[at + 3 + k]) * LANES
            together = lanes.add(lanes.load(core, target), number)
            lanes.store(core, target, lanes.minimum(together, cap))
        at += 3 + sizes[at + 2]


@paste
def _emit(spikes: Array, row: int, bits: int, core: Array, at: int) -> None:
    """Write the spikes of an output neuron; ``bits`` has the samples where it fires.

    Its spikes of the first sample belong at ``row`` in the output, those of all samples are at
    ``at`` in the state.
    """
    sample = spikes.shape[1] * spikes.shape[2]
    while bits != 0:
        lane = lanes.lowest(bits)
        lanes.put(spikes, row + lane * sample, lanes.get(core, at + lane))
        bits &= bits - 1


@paste
def _exchange(cores: Array, first: int, samples: int, core: Array, save: bool) -> None:
    """Load the state of the samples into the lanes, or save it back."""
    zero = lanes.zeros(core)
    for n in range(cores.shape[1]):
        if not save:
            lanes.store(core, n * LANES, zero)
        for lane in range(samples):
            if save:
                cores[first + lane, n] = core[n * LANES + lane]
            else:
                core[n * LANES + lane] = cores[first + lane, n]


@paste
def _evolve(
    constants: Array,
    sizes: Array,
    core: Array,
    unfired: Array,
    n: int,
    cap: int,
    two: Any,
    first_core: Any,
) -> tuple[Any, int]:
    """Simulate a neuron; return what is not 0 in samples where it moved, and where it fired."""
    j, width = n * LANES, sizes[BLOCKS] * LANES
    v_at = width * LANES
    if two is not None:
        v_at = 2 * width * LANES
    threshold = lanes.get(constants, THRESHOLD * width + n)
    i = lanes.load(core, j)
    i2 = i
    if two is not None:
        i2 = lanes.load(core, width * LANES + j)
    i, i2, before, v, number, over, moved, _ = arithmetic.update(
        i,
        i2,
        lanes.load(core, v_at + j),
        lanes.get(constants, DASH_SYN * width + n),
        lanes.get(constants, DASH_SYN_2 * width + n),
        lanes.get(constants, DASH_MEM * width + n),
        lanes.get(constants, BIAS * width + n),
        threshold,
        two,
        first_core,
    )
    v, number = arithmetic.fire_more(v, threshold, number, over, cap)
    lanes.store(core, j, i)
    if two is not None:
        lanes.store(core, width * LANES + j, i2)
    lanes.store(core, v_at + j, v)
    lanes.store(core, v_at + width * LANES + j, number)
    if sizes[ALIASES]:
        lanes.store(unfired, j, before)
    return moved, lanes.nonzero(number)


@compiled_bare(title="the simulator of batches of Xylo", seconds=2.0)
def run(
    places: Array,
    weights: Array,
    constants: Array,
    sizes: Array,
    counts: Array,
    spikes: Array,
    cores: Array,
    core: Array,
    unfired: Array,
    spiking: Array,
    arriving: Array,
    first_sample: int,
    samples: int,
    first_step: int,
    stop_step: int,
    two: Any,
    first_core: Any,
) -> None:
    """Simulate some steps of up to 32 samples; ``core`` holds their state, 32 samples a number."""
    inputs, hidden, outputs = sizes[INPUTS], sizes[HIDDEN], sizes[OUTPUTS]
    width = sizes[BLOCKS] * LANES
    v_at = width
    if two is not None:
        v_at = 2 * width
    spikes_at, sleeps_at = v_at + width, v_at + 2 * width
    zero = lanes.zeros(core)
    _exchange(cores, first_sample, samples, core, False)
    found = _list_spiking(core, spikes_at, hidden, spiking)
    for step in range(first_step, stop_step):
        in_chunk = (step - first_step) % CHUNK
        if in_chunk == 0:
            size = min(CHUNK, stop_step - step) * inputs
            _transpose(counts, first_sample, samples, step * inputs, size, arriving)
        moved = _deliver_all(
            places, weights, sizes, core, spikes_at, spiking, found, arriving, in_chunk
        )
        found = 0
        for k in range(hidden + outputs):
            n, cap = k, sizes[HIDDEN_CAP]
            if k >= hidden:
                n, cap = k - hidden + sizes[HIDDEN_BLOCKS] * LANES, sizes[OUTPUT_CAP]
            change, bits = _evolve(constants, sizes, core, unfired, n, cap, two, first_core)
            moved = lanes.either(moved, change)
            if k < hidden:
                spiking[found] = n
                found += bits != 0
            else:
                row = (first_sample * spikes.shape[1] + step) * outputs + k - hidden
                at = (spikes_at + n) * LANES
                _emit(spikes, row, bits & ((1 << samples) - 1), core, at)
        if sizes[ALIASES]:
            _pass_on(sizes, constants, unfired, core, v_at, spikes_at)
            found = _list_spiking(core, spikes_at, hidden, spiking)
        if step == stop_step - 1:
            asleep = lanes.subtract(zero, lanes.equal(moved, 0))
            lanes.store(core, sleeps_at * LANES, asleep)
    _exchange(cores, first_sample, samples, core, True)

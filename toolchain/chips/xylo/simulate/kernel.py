"""The Xylo core, compiled: one function for the whole run of a sample.

The semantics are those of :mod:`toolchain.chips.xylo.simulate.twin`. The loops are in another
order, which gives the same results for these reasons:

- The order in which spikes arrive matters only to the neuron that receives them, and it is that
  of the source ids. A loop over the sources that spiked, all targets of one source at once, keeps
  it.
- Several spikes of one source add the same weight several times, always in one direction, so
  that one saturating addition of the product is the same.
- Aliases pass on spike counts and change neither currents nor membranes, so that all neurons can
  integrate first; those with an alias fire again afterwards, in id order.

The layout of the data is in :mod:`toolchain.chips.xylo.simulate.tables`.
"""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import compiled, inline
from toolchain.chips.compiled.lanes import LANES
from toolchain.chips.xylo.simulate import arithmetic
from toolchain.chips.xylo.simulate.layer_state import (
    LayerState,
    flush_clamped,
    load_state,
    record_step,
    save_state,
    zero_state,
)
from toolchain.chips.xylo.simulate.tables import (
    NO_TRACES,
    Aliases,
    NeuronConstants,
    Rows,
    State,
    Tables,
    Traces,
)

__all__ = ["run"]

INLINED = "ee3d1ae73908"
"""Digest of the other files that are compiled into this one; see ``cache``."""

CACHE_LINE = 64


def run(
    program: Tables,
    samples: range,
    counts: Array,
    spikes: Array,
    state: State,
    traces: Traces | None,
) -> None:
    """Simulate ``samples`` of the batch; write ``spikes``, ``state`` and, if given, ``traces``.

    The interpreter lock is released, so that threads can share a batch.
    """
    record = traces is not None
    _run(program, samples.start, samples.stop, counts, spikes, state, record, traces or NO_TRACES)


# In the two loops over neurons below arrays are taken out of their tuples first, and the helpers
# receive lanes only: numba counts references to each array that it takes from a tuple or passes on,
# which would cost more than the arithmetic.


@inline
def _deliver(
    rows: Rows, row: int, count: int, layer_state: LayerState, synapse: int, counting: bool
) -> None:
    """Add a row of weights ``count`` times to the currents of one synapse."""
    weights, shift, i_syn, clamped = (
        rows.weights,
        rows.shift,
        layer_state.i_syn,
        layer_state.clamped,
    )
    base, offset = row * rows.width, synapse * rows.width
    for j in range(rows.spans[row, 0], rows.spans[row, 1], LANES):
        weight = lanes.shift_left(lanes.load_as(weights, base + j, i_syn), shift)
        old = lanes.load(i_syn, offset + j)
        if count == 1:
            new, hit = arithmetic.add(old, weight)
        else:
            new, hit = arithmetic.add_times(old, weight, count)
        lanes.store(i_syn, offset + j, new)
        if counting and lanes.nonzero(hit) != 0:
            lanes.store(clamped, j, lanes.subtract(lanes.load(clamped, j), hit))


@inline
def _fetch(rows: Rows, row: int) -> None:
    """Prefetch a row of weights: a thousand rows do not fit the nearest cache."""
    weights, base = rows.weights, row * rows.width
    for j in range(rows.spans[row, 0], rows.spans[row, 1], CACHE_LINE):
        lanes.prefetch(weights, base + j)


@inline
def _evolve(
    layer_state: LayerState,
    layer: NeuronConstants,
    two: bool,
    first_core: bool,
    aliased: bool,
    counting: bool,
) -> tuple[bool, bool]:
    """Decay, integrate and fire a layer; return whether any neuron fired and any state moved."""
    i_syn, v_mem, spikes = layer_state.i_syn, layer_state.v_mem, layer_state.spikes
    unfired, clamped = layer_state.unfired, layer_state.clamped
    dash_syn, dash_mem = layer.dash_syn, layer.dash_mem
    thresholds, biases = layer.threshold, layer.bias
    fired = False
    moved = lanes.zeros(v_mem)
    for j in range(0, layer.width, LANES):
        first = lanes.load(i_syn, j)
        lost = arithmetic.leak(first, lanes.load(dash_syn, j))
        first = lanes.subtract(first, lost)
        lanes.store(i_syn, j, first)
        moved = lanes.either(moved, lost)
        second = lanes.zeros(v_mem)
        if two:
            second = lanes.load(i_syn, layer.width + j)
            lost = arithmetic.leak(second, lanes.load(dash_syn, layer.width + j))
            second = lanes.subtract(second, lost)
            lanes.store(i_syn, layer.width + j, second)
            moved = lanes.either(moved, lost)
        v = lanes.load(v_mem, j)
        lost = arithmetic.leak(v, lanes.load(dash_mem, j))
        if first_core:
            v, hit = arithmetic.integrate_v1(v, lost, first, second)
        else:
            change, hit = arithmetic.change_v2(lost, first, second, two)
            change, again = arithmetic.add(change, lanes.load(biases, j))
            moved = lanes.either(moved, change)
            v, last = arithmetic.add(v, change)
            hit = lanes.add(lanes.add(hit, again), last)
        if counting and lanes.nonzero(hit) != 0:
            lanes.store(clamped, j, lanes.subtract(lanes.load(clamped, j), hit))
        if aliased:
            lanes.store(unfired, j, v)
        threshold = lanes.load(thresholds, j)
        number = lanes.zeros(v_mem)
        over = lanes.at_least(v, threshold)
        if lanes.nonzero(over) != 0:
            fired = True
            v, number = arithmetic.fire(v, threshold, over, layer.cap)
        lanes.store(v_mem, j, v)
        lanes.store(spikes, j, number)
    return fired, lanes.nonzero(moved) != 0


@compiled
def _alias(aliases: Aliases, layer: NeuronConstants, layer_state: LayerState) -> None:
    """Pass spikes on, in id order; a target fires again with the spikes received before."""
    spikes = layer_state.spikes
    for a in range(aliases.neurons.size):
        if aliases.receives[a]:
            spikes[aliases.neurons[a]] = 0
    for a in range(aliases.neurons.size):
        n = aliases.neurons[a]
        if aliases.receives[a]:
            v, threshold = np.int64(layer_state.unfired[n]), np.int64(layer.threshold[n])
            count = np.int64(spikes[n])
            while v >= threshold and count < layer.cap:
                count += 1
                v = np.int64(np.int16(v - threshold))
            layer_state.v_mem[n] = v
            spikes[n] = count
        # taken now: a neuron that is its own target passes on what it had before
        passed = np.int64(spikes[n])
        for t in range(aliases.starts[a], aliases.starts[a + 1]):
            target = aliases.targets[t]
            spikes[target] = min(layer.cap, np.int64(spikes[target]) + passed)


@inline
def _list_spiking(layer_state: LayerState, layer: NeuronConstants, sources: Array) -> int:
    """Write the ids of the neurons that spiked to ``sources``; return their number."""
    found, spikes = 0, layer_state.spikes
    for j in range(0, layer.width, LANES):
        bits = lanes.nonzero(lanes.load(spikes, j))
        while bits != 0:
            sources[found] = j + lanes.lowest(bits)
            found += 1
            bits &= bits - 1
    return found


@inline
def _send_inputs(program: Tables, counts: Array, hidden: LayerState, counting: bool) -> bool:
    """Deliver the input spikes of a step; return whether there were any."""
    any_spike = False
    for channel in range(counts.size):
        count = int(counts[channel])
        if count:
            any_spike = True
            for s in range(program.synapses):
                row = channel * program.synapses + s
                _deliver(program.rows_in, row, count, hidden, s, counting)
    return any_spike


@inline
def _send_hidden(
    program: Tables, sources: Array, hidden: LayerState, output: LayerState, counting: bool
) -> None:
    """Deliver the hidden spikes of the step before."""
    for i in range(sources.size):
        if i + 1 < sources.size:
            following = sources[i + 1]
            for s in range(program.synapses):
                _fetch(program.rows_rec, following * program.synapses + s)
            _fetch(program.rows_out, following)
        source = sources[i]
        count = int(hidden.spikes[source])
        for s in range(program.synapses):
            row = source * program.synapses + s
            _deliver(program.rows_rec, row, count, hidden, s, counting)
        _deliver(program.rows_out, source, count, output, 0, counting)


@compiled
def _run(
    program: Tables,
    first: int,
    stop: int,
    counts: Array,
    spikes: Array,
    state: State,
    record: bool,
    traces: Traces,
) -> None:
    """Simulate samples ``first .. stop-1``, one after the other."""
    hidden = zero_state(program.hidden, program.synapses)
    output = zero_state(program.output, 1)
    sources = np.zeros(program.hidden.width, np.int64)
    for b in range(first, stop):
        load_state(program, state, b, hidden, output)
        _run_sample(program, b, counts, spikes, state, record, traces, hidden, output, sources)
        save_state(program, state, b, hidden, output)


@inline
def _run_sample(
    program: Tables,
    b: int,
    counts: Array,
    out_spikes: Array,
    state: State,
    record: bool,
    traces: Traces,
    hidden: LayerState,
    output: LayerState,
    sources: Array,
) -> None:
    """Simulate all steps of sample ``b``."""
    steps, channels = counts.shape[1], counts.shape[2]
    two, v1 = program.synapses == 2, program.first_core
    aliased = program.aliases.neurons.size > 0
    sleeping = state.hibernating[b]
    spiking = _list_spiking(hidden, program.hidden, sources)
    # additions to one neuron in one step, for counters of 16 bits
    most = program.synapses * (channels + program.hidden.neurons) + 3
    flush_every = max(1, 32767 // most)
    for t in range(steps):
        delivered = _send_inputs(program, counts[b, t], hidden, record) or spiking > 0
        _send_hidden(program, sources[:spiking], hidden, output, record)
        fired, moved = _evolve(hidden, program.hidden, two, v1, aliased, record)
        fired_out, moved_out = _evolve(output, program.output, False, v1, False, record)
        if aliased and fired:
            _alias(program.aliases, program.hidden, hidden)
        spiking = _list_spiking(hidden, program.hidden, sources) if fired else 0
        if fired_out:
            for n in range(program.output.neurons):
                out_spikes[b, t, n] = output.spikes[n]
        active = delivered or moved or moved_out
        if record:
            record_step(program, traces, b, t, sources[:spiking], hidden, output)
            # with a bias the core tests the step before, unless a spike wakes it
            waking = sleeping and not delivered
            traces.hibernation[b, t] = waking if program.biased else not active
            if (t + 1) % flush_every == 0 or t == steps - 1:
                totals = traces.saturations[b]
                flush_clamped(totals, 0, program.hidden.neurons, hidden)
                flush_clamped(totals, program.hidden.neurons, program.output.neurons, output)
        sleeping = not active
    state.hibernating[b] = sleeping

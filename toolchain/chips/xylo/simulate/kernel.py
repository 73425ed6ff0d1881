"""The Xylo core, compiled: which of two kernels simulates which samples, and their memory.

:mod:`toolchain.chips.xylo.simulate.dense` takes one sample after the other and can record every
state; :mod:`toolchain.chips.xylo.simulate.batched` takes up to 32 samples at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import LARGEST_PART, parts, processors
from toolchain.chips.compiled.width import LANES
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate import batched, dense
from toolchain.chips.xylo.simulate.packed import Traces
from toolchain.chips.xylo.simulate.tables import (
    BLOCKS,
    HIDDEN,
    HIDDEN_BLOCKS,
    INPUT_BLOCKS,
    OUTPUTS,
    RANGE,
    RANGES,
    Tables,
    connections,
    tables,
)

__all__ = ["Scratch", "divide", "empty_scratch", "run"]

INPUT_RATE, HIDDEN_RATE = 0.05, 0.04
"""Assumed spikes of a channel or neuron in a step: the kernel is chosen before they are known."""

# Times of the parts of a step, about ns; only their ratios matter. Measured on an AVX-512 machine.
DENSE_BLOCK, DENSE_ROW = 30.0, 2.2
"""Update of 32 neurons; addition of 32 weights."""
BATCHED_SAMPLE, BATCHED_NEURON, BATCHED_CONNECTION, BATCHED_STATE = 15.0, 15.0, 0.5, 2.0
"""Inputs of a sample; update of a neuron and addition of a weight in 32 samples; loading and
storing a number of the state, once a call."""


class Scratch(NamedTuple):
    """Memory that the dense kernel works in; it need not be kept between calls."""

    lists: Array
    states: Array


def empty_scratch(table: Tables) -> Scratch:
    """Return memory for one thread."""
    blocks = int(table.sizes[INPUT_BLOCKS] + table.sizes[HIDDEN_BLOCKS])
    width = int(table.sizes[BLOCKS]) * LANES
    return Scratch(np.empty(blocks * (2 * LANES + 1) + 1, np.int64), np.empty(4 * width, np.int16))


def divide(
    program: XyloProgram, batch: int, steps: int, record: bool, threads: int | None
) -> list[range]:
    """Divide a batch into parts that threads can simulate side by side.

    Args:
        program: the program.
        batch: number of samples.
        steps: number of steps.
        record: whether states are recorded.
        threads: number of threads; None for one per usable processor.
    """
    workers = threads or processors()
    tiles = -(-batch // LANES)
    one, many = _costs(program, steps)
    if not record and -(-tiles // workers) * many < -(-batch // workers) * one:
        return [range(i, min(batch, i + LANES)) for i in range(0, batch, LANES)]
    return parts(batch, steps * (program.hidden + program.outputs), threads)


def run(
    program: XyloProgram,
    samples: range,
    counts: Array,
    spikes: Array,
    states: Array,
    traces: Traces | None = None,
    scratch: Scratch | None = None,
) -> None:
    """Simulate ``samples`` of a batch.

    The interpreter lock is released, so that threads can share a batch.

    Args:
        program: the program.
        samples: the samples; a part of ``divide``, or any others.
        counts: uint8 (batch, steps, inputs), the input.
        spikes: int8 (batch, steps, outputs), zeros; output spikes are written to it.
        states: packed states of all samples; those of ``samples`` are overwritten.
        traces: what records all states, or None.
        scratch: memory from ``empty_scratch`` that no other thread uses at the same time, or None.
    """
    steps, neurons = counts.shape[1], program.hidden + program.outputs
    # an interrupt waits for the kernel
    size = max(batched.CHUNK, LARGEST_PART // max(1, neurons * len(samples)))
    for start in range(0, steps, size):
        stop = min(steps, start + size)
        if traces is None and len(samples) <= LANES and len(samples) > 1:
            one, many = _costs(program, steps)
            if many < len(samples) * one:
                _run_batched(program, samples, start, stop, counts, spikes, states)
                continue
        table = tables(program)
        dense.run(
            table.weights,
            table.constants,
            table.sizes,
            counts,
            spikes,
            states,
            *(scratch or empty_scratch(table)),
            samples.start,
            samples.stop,
            start,
            stop,
            table.two,
            table.first_core,
            *(traces or (None,) * 5),
        )


def _run_batched(
    program: XyloProgram,
    samples: range,
    start: int,
    stop: int,
    counts: Array,
    spikes: Array,
    states: Array,
) -> None:
    """Simulate steps ``start .. stop - 1`` of up to 32 samples at once."""
    table, connected = tables(program), connections(program)
    width = int(table.sizes[BLOCKS]) * LANES
    batched.run(
        connected.places,
        connected.weights,
        table.constants,
        table.sizes,
        counts,
        spikes,
        states,
        np.empty(states.shape[1] * LANES, np.int16),
        np.empty(width * LANES, np.int16),
        np.empty(program.hidden + 1, np.int64),
        np.empty(batched.CHUNK * program.inputs * LANES, np.int8),
        samples.start,
        len(samples),
        start,
        stop,
        table.two,
        table.first_core,
    )


def _costs(program: XyloProgram, steps: int) -> tuple[float, float]:
    """Return the time of a step of one sample, dense, and of 32 samples, batched."""
    dense_step, batched_step, batched_call = _operations(program)
    return dense_step, batched_step + batched_call / max(1, steps)


@lru_cache(maxsize=8)
def _operations(program: XyloProgram) -> tuple[float, float, float]:
    """Return the times of a dense step, of a batched step and of a batched call."""
    sizes = tables(program).sizes
    blocks, hidden, outputs = (int(sizes[at]) for at in (BLOCKS, HIDDEN, OUTPUTS))
    ranges = sizes[RANGES : RANGES + 2 * RANGE * blocks].reshape(blocks, 2, RANGE)
    sources = (ranges[:, :, 3] - ranges[:, :, 2]).sum(axis=0) * LANES
    rows = float(sources @ np.array([INPUT_RATE, HIDDEN_RATE])) * program.synapses
    # a delivery is needed if any of 32 samples spikes
    some_input, some_hidden = (1 - (1 - rate) ** LANES for rate in (INPUT_RATE, HIDDEN_RATE))
    between = np.count_nonzero(program.weights_rec) + np.count_nonzero(program.weights_out)
    deliveries = some_input * np.count_nonzero(program.weights_in) + some_hidden * between
    return (
        DENSE_BLOCK * blocks + DENSE_ROW * rows,
        BATCHED_SAMPLE * LANES
        + BATCHED_NEURON * (hidden + outputs)
        + BATCHED_CONNECTION * float(deliveries),
        BATCHED_STATE * LANES * LANES * blocks * (program.synapses + 2),
    )

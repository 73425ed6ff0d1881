"""State of a Xylo core while the kernel runs, with loading and saving."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.cache import inline
from toolchain.chips.xylo.simulate.tables import NeuronConstants, State, Tables, Traces

__all__ = ["LayerState", "flush_clamped", "load_state", "record_step", "save_state", "zero_state"]


class LayerState(NamedTuple):
    """State of the neurons of one layer in one sample, int16, padded.

    Attributes:
        i_syn: flat, one padded row a synapse.
        v_mem: membranes.
        spikes: of the last step; hidden spikes arrive in the next.
        unfired: membranes before firing, for the aliases.
        clamped: saturated additions that are not yet in the trace.
    """

    i_syn: Array
    v_mem: Array
    spikes: Array
    unfired: Array
    clamped: Array


@inline
def zero_state(layer: NeuronConstants, synapses: int) -> LayerState:
    """Return the state of neurons at rest."""
    width = layer.width
    return LayerState(
        np.zeros(synapses * width, np.int16),
        np.zeros(width, np.int16),
        np.zeros(width, np.int16),
        np.zeros(width, np.int16),
        np.zeros(width, np.int16),
    )


@inline
def load_state(
    program: Tables, state: State, b: int, hidden: LayerState, output: LayerState
) -> None:
    """Copy the state of sample ``b`` into the layers."""
    for n in range(program.hidden.neurons):
        for s in range(program.synapses):
            hidden.i_syn[s * program.hidden.width + n] = state.i_syn[b, n, s]
        hidden.v_mem[n] = state.v_mem[b, n]
        hidden.spikes[n] = state.pending_spikes[b, n]
    for n in range(program.output.neurons):
        output.i_syn[n] = state.i_syn_out[b, n]
        output.v_mem[n] = state.v_mem_out[b, n]


@inline
def save_state(
    program: Tables, state: State, b: int, hidden: LayerState, output: LayerState
) -> None:
    """Copy the layers back to the state of sample ``b``."""
    for n in range(program.hidden.neurons):
        for s in range(program.synapses):
            state.i_syn[b, n, s] = hidden.i_syn[s * program.hidden.width + n]
        state.v_mem[b, n] = hidden.v_mem[n]
        state.pending_spikes[b, n] = hidden.spikes[n]
    for n in range(program.output.neurons):
        state.i_syn_out[b, n] = output.i_syn[n]
        state.v_mem_out[b, n] = output.v_mem[n]


@inline
def record_step(
    program: Tables,
    traces: Traces,
    b: int,
    t: int,
    sources: Array,
    hidden: LayerState,
    output: LayerState,
) -> None:
    """Record every state of a step; spikes that are not written are 0 already."""
    for source in sources:
        traces.hidden_spikes[b, t, source] = hidden.spikes[source]
        traces.hidden_totals[b, 0, source] += hidden.spikes[source]
        traces.hidden_totals[b, 1, source] += 1
    for n in range(program.hidden.neurons):
        traces.v_mem[b, t, n] = hidden.v_mem[n]
    for n in range(program.hidden.neurons):
        traces.i_syn[b, t, n] = hidden.i_syn[n]
    if program.synapses == 2:
        for n in range(program.hidden.neurons):
            traces.i_syn_2[b, t, n] = hidden.i_syn[program.hidden.width + n]
    for n in range(program.output.neurons):
        traces.v_mem_out[b, t, n] = output.v_mem[n]
        traces.i_syn_out[b, t, n] = output.i_syn[n]


@inline
def flush_clamped(totals: Array, first: int, neurons: int, layer_state: LayerState) -> None:
    """Add 16-bit counts to wider totals before they can overflow."""
    for n in range(neurons):
        totals[first + n] += layer_state.clamped[n]
    layer_state.clamped[:] = 0

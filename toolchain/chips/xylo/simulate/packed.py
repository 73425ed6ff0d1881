"""States and recordings of a Xylo core in the layout of the kernels.

A state is one row of int16 for each sample: the currents of each synapse, the membranes and the
spikes of the last step, each with one entry a neuron (:mod:`toolchain.chips.xylo.simulate.tables`
has their order), then 1 if no state changed in the last step, and padding.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.width import LANES
from toolchain.chips.xylo.program import Int16, XyloProgram
from toolchain.chips.xylo.simulate.recording import XyloState
from toolchain.chips.xylo.simulate.tables import padded

__all__ = ["Traces", "empty_traces", "pack", "packed_zeros", "recorded_states", "unpack"]


def packed_zeros(program: XyloProgram, batch: int) -> Int16:
    """Return the states of ``batch`` samples after a reset."""
    return np.zeros((batch, (program.synapses + 2) * _width(program) + LANES), np.int16)


def pack(program: XyloProgram, state: XyloState) -> Int16:
    """Return a copy of ``state`` in the layout of the kernels."""
    packed = packed_zeros(program, len(state.v_mem))
    i_syn, v_mem, i_syn_out, v_mem_out, spikes = _views(program, packed)
    i_syn[:], v_mem[:], i_syn_out[:] = state.i_syn, state.v_mem, state.i_syn_out
    v_mem_out[:], spikes[:] = state.v_mem_out, state.pending_spikes
    packed[:, -LANES] = state.hibernating
    return packed


def unpack(program: XyloProgram, packed: Int16) -> XyloState:
    """Return the state in ``packed``; some of its arrays are views."""
    i_syn, v_mem, i_syn_out, v_mem_out, spikes = _views(program, packed)
    return XyloState(
        i_syn=i_syn,
        v_mem=v_mem,
        i_syn_out=i_syn_out,
        v_mem_out=v_mem_out,
        pending_spikes=spikes.astype(np.int8),
        hibernating=packed[:, -LANES] != 0,
    )


def _width(program: XyloProgram) -> int:
    """Return the number of neurons, with the padding."""
    return padded(program.hidden) + padded(program.outputs)


def _views(program: XyloProgram, packed: Int16) -> tuple[Int16, ...]:
    """Return currents, membranes, the same of the outputs, and hidden spikes as views."""
    hidden, outputs, synapses = program.hidden, program.outputs, program.synapses
    width, first_output = _width(program), padded(hidden)
    currents = packed[:, : synapses * width].reshape(len(packed), synapses, width)
    v_at = synapses * width
    return (
        currents[:, :, :hidden].transpose(0, 2, 1),
        packed[:, v_at : v_at + hidden],
        currents[:, 0, first_output : first_output + outputs],
        packed[:, v_at + first_output : v_at + first_output + outputs],
        packed[:, v_at + width : v_at + width + hidden],
    )


class Traces(NamedTuple):
    """Memory of a recording, as the kernel fills it.

    Attributes:
        hidden_spikes: int8 ``(B, T, Nhid)``.
        states: int16, flat; the recorded states one after the other, each ``(B, T, neurons)``.
        wanted: int64, for each of these the place in a packed state, the number of neurons and the
            place in ``states``.
        hibernation: bool ``(B, T)``.
        totals: int64 ``(B, 3 * width)``; cut additions, spikes, and steps with spikes.
    """

    hidden_spikes: Array
    states: Array
    wanted: Array
    hibernation: Array
    totals: Array

    def arrays(self, program: XyloProgram) -> dict[str, Array]:
        """Return the recorded arrays by name."""
        batch, steps = self.hibernation.shape
        totals = self.totals.reshape(batch, 3, _width(program))
        found: dict[str, Array] = {
            "hidden_spikes": self.hidden_spikes,
            "hibernation": self.hibernation,
            "hidden_totals": totals[:, 1:, : program.hidden],
        }
        for name, start, shape in _recorded(program, batch, steps):
            found[name] = np.ndarray(shape, np.int16, self.states, start * self.states.itemsize)
        return found

    def saturations(self, program: XyloProgram) -> dict[str, int]:
        """Return the cut additions of each population, over the batch."""
        cut = self.totals[:, : _width(program)]
        if not cut.any():
            return dict.fromkeys([p.name for p in program.populations], 0)
        first = {"hidden": 0, "output": padded(program.hidden)}
        return {
            p.name: int(cut[:, first[p.role] + p.start : first[p.role] + p.stop].sum())
            for p in program.populations
        }


@lru_cache(maxsize=8)
def _places(program: XyloProgram) -> dict[str, tuple[int, int]]:
    """Return where in a packed state each recorded state is, and its number of neurons."""
    hidden, outputs = program.hidden, program.outputs
    width, first_output = _width(program), padded(hidden)
    v_at = program.synapses * width
    places = {
        "i_syn": (0, hidden),
        "v_mem": (v_at, hidden),
        "i_syn_out": (first_output, outputs),
        "v_mem_out": (v_at + first_output, outputs),
    }
    if program.synapses == 2:
        places["i_syn_2"] = (width, hidden)
    return places


@lru_cache(maxsize=32)
def _wanted(program: XyloProgram, batch: int, steps: int) -> tuple[Array, int]:
    """Return ``Traces.wanted``, which nobody changes, and the size of ``Traces.states``."""
    wanted, size = [], 0
    for place, neurons in _places(program).values():
        wanted.append((place, neurons, size))
        size += batch * steps * neurons
    return np.array(wanted, np.int64), size


@lru_cache(maxsize=32)
def _recorded(
    program: XyloProgram, batch: int, steps: int
) -> tuple[tuple[str, int, tuple[int, int, int]], ...]:
    """Return the name, the place in ``Traces.states`` and the shape of each recorded state."""
    starts = _wanted(program, batch, steps)[0][:, 2].tolist()
    return tuple(
        (name, start, (batch, steps, neurons))
        for (name, (_, neurons)), start in zip(_places(program).items(), starts, strict=True)
    )


def empty_traces(program: XyloProgram, batch: int, steps: int) -> Traces:
    """Return memory for a recording of ``steps`` steps."""
    wanted, size = _wanted(program, batch, steps)
    return Traces(
        hidden_spikes=np.empty((batch, steps, program.hidden), np.int8),
        states=np.empty(size, np.int16),
        wanted=wanted,
        hibernation=np.empty((batch, steps), np.bool_),
        totals=np.zeros((batch, 3 * _width(program)), np.int64),
    )


def recorded_states(
    program: XyloProgram, batch: int, steps: int, names: Collection[str]
) -> tuple[Traces, dict[str, Array]]:
    """Return memory for a recording of hidden spikes and some states, and these states by name."""
    places = {name: place for name, place in _places(program).items() if name in names}
    states = np.empty(batch * steps * sum(size for _, size in places.values()), np.int16)
    found: dict[str, Array] = {}
    wanted, start = [], 0
    for name, (place, neurons) in places.items():
        wanted.append((place, neurons, start))
        shape = batch, steps, neurons
        found[name] = np.ndarray(shape, np.int16, states, start * states.itemsize)
        start += found[name].size
    traces = Traces(
        hidden_spikes=np.empty((batch, steps, program.hidden), np.int8),
        states=states,
        wanted=np.array(wanted, np.int64),
        hibernation=np.empty((batch, steps), np.bool_),
        totals=np.zeros((batch, 3 * _width(program)), np.int64),
    )
    return traces, found

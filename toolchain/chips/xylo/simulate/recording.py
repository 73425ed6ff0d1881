"""State and recordings of simulated Xylo programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.xylo.program import XyloProgram
from toolchain.report import Brief
from toolchain.runs.sparse import SparseSpikes

__all__ = ["XyloRecording", "XyloState", "initial_state"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class XyloState(Brief):
    """State of a core between two steps, batch first.

    Attributes:
        i_syn: int16 ``(B, Nhid, synapses)`` synaptic currents.
        v_mem: int16 ``(B, Nhid)`` membrane potentials, after reset.
        i_syn_out, v_mem_out: int16 ``(B, Nout)``.
        pending_spikes: int8 ``(B, Nhid)`` hidden spikes that arrive in the next step.
        hibernating: bool ``(B,)`` whether no state changed in the last step (core v2). Only the
            hibernation trace of a program with a bias reads it; xylosim forgets it between calls.

    >>> from toolchain.chips.xylo import XyloProgram, simulate
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> state = XyloState.zeros(program, batch=1)
    >>> state.v_mem.shape
    (1, 2)
    >>> after = simulate(program, [[1], [0]], state=state).state
    >>> after.v_mem.tolist(), after.pending_spikes.tolist()
    ([[31, 31]], [[1, 1]])
    """

    i_syn: npt.NDArray[np.int16]
    v_mem: npt.NDArray[np.int16]
    i_syn_out: npt.NDArray[np.int16]
    v_mem_out: npt.NDArray[np.int16]
    pending_spikes: npt.NDArray[np.int8]
    hibernating: npt.NDArray[np.bool_]

    @classmethod
    def zeros(cls, program: XyloProgram, batch: int) -> XyloState:
        """Return the state after a reset, for ``batch`` samples."""
        shapes = _state_shapes(program, batch)
        return cls(**{name: np.zeros(shape, dtype) for name, (shape, dtype) in shapes.items()})

    def copy(self) -> XyloState:
        """Return a state with copies of all arrays."""
        return XyloState(
            i_syn=self.i_syn.copy(),
            v_mem=self.v_mem.copy(),
            i_syn_out=self.i_syn_out.copy(),
            v_mem_out=self.v_mem_out.copy(),
            pending_spikes=self.pending_spikes.copy(),
            hibernating=self.hibernating.copy(),
        )

    def arrays(self) -> tuple[Array, ...]:
        """Return the arrays in the order of the attributes."""
        return (
            self.i_syn,
            self.v_mem,
            self.i_syn_out,
            self.v_mem_out,
            self.pending_spikes,
            self.hibernating,
        )

    @classmethod
    def stack(cls, states: Sequence[XyloState]) -> XyloState:
        """Return one batch of several."""
        names = [f.name for f in fields(cls)]
        return cls(**{n: np.concatenate([getattr(s, n) for s in states]) for n in names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class XyloRecording(Brief):
    """Result of a simulation, batch first; T is the number of steps.

    Attributes:
        spikes: int8 ``(B, T, Nout)`` output spikes per step.
        state: the state after the last step; pass it on to continue.
        hidden_spikes: int8 ``(B, T, Nhid)``, with those received through aliases.
        v_mem, i_syn, i_syn_2: int16 ``(B, T, Nhid)``, membranes after reset; ``i_syn_2`` is None
            where the program has one synapse.
        v_mem_out, i_syn_out: int16 ``(B, T, Nout)``.
        hibernation: bool ``(B, T)``, steps in which the core sleeps; None on core v1.
        saturations: for each population the number of additions that were cut at a 16-bit limit:
            all spikes of one source into one synapse in one step are one addition, and each
            addition to a membrane is one.
        hidden_totals: int64 ``(B, 2, Nhid)``, spikes of each hidden neuron over all steps, those
            received through aliases included, and steps in which it has any.

        readout: int16 ``(B, T, Nout)``, the states of the output neurons that the program reads;
            None where it reads spikes. Recorded in any case.

        recorded: what ``record`` names, by population and then kind: arrays, or spikes as
            ``SparseSpikes`` where these are smaller.

    All except ``spikes``, ``state``, ``readout`` and ``recorded`` are None unless recorded; with
    names in ``record`` ``saturations`` and ``hidden_totals`` are recorded too.

    >>> from toolchain.chips.xylo import XyloProgram, simulate
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> recording = simulate(program, [[1], [0], [0]], record=True)
    >>> isinstance(recording, XyloRecording), recording.saturations
    (True, {'hidden': 0, 'output': 0})
    >>> recording.hidden_spikes[0].tolist()
    [[1, 1], [1, 1], [1, 1]]
    """

    spikes: npt.NDArray[np.int8]
    state: XyloState
    hidden_spikes: npt.NDArray[np.int8] | None = None
    v_mem: npt.NDArray[np.int16] | None = None
    i_syn: npt.NDArray[np.int16] | None = None
    i_syn_2: npt.NDArray[np.int16] | None = None
    v_mem_out: npt.NDArray[np.int16] | None = None
    i_syn_out: npt.NDArray[np.int16] | None = None
    hibernation: npt.NDArray[np.bool_] | None = None
    saturations: dict[str, int] | None = None
    hidden_totals: npt.NDArray[np.int64] | None = None
    readout: npt.NDArray[np.int16] | None = None
    recorded: Mapping[str, Mapping[str, Array | SparseSpikes]] = field(default_factory=dict)


def initial_state(program: XyloProgram, batch: int, state: XyloState | None) -> XyloState:
    """Return a copy of ``state``, or zeros.

    Raises:
        ValueError: a state of another program or batch.
    """
    if state is None:
        return XyloState.zeros(program, batch)
    copies = {}
    for name, (shape, dtype) in _state_shapes(program, batch).items():
        array = np.asarray(getattr(state, name))
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(
                f"state.{name} must be {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}"
            )
        copies[name] = array.copy(order="C")
    pending = copies["pending_spikes"]
    if pending.size and (pending.min() < 0 or pending.max() > program.max_hidden_spikes):
        raise ValueError(
            f"state.pending_spikes must be in 0..{program.max_hidden_spikes}, got "
            f"{pending.min()}..{pending.max()}"
        )
    return XyloState(**copies)


def _state_shapes(program: XyloProgram, batch: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return the shape and type of each part of a state."""
    hidden, outputs = (batch, program.hidden), (batch, program.outputs)
    return {
        "i_syn": ((*hidden, program.synapses), np.int16),
        "v_mem": (hidden, np.int16),
        "i_syn_out": (outputs, np.int16),
        "v_mem_out": (outputs, np.int16),
        "pending_spikes": (hidden, np.int8),
        "hibernating": ((batch,), np.bool_),
    }

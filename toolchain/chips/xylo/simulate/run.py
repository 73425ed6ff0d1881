"""Simulation of a Xylo program over time, bit for bit as the chip's integer core computes it.

Input and output are spike counts; every state is available on request. The arithmetic is in
``kernel``, its plain reference in ``twin``.

A spike of a hidden neuron arrives, at other hidden neurons and at the outputs, in the next step;
an input spike arrives in its own step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.compiled.threads import each, parts
from toolchain.chips.xylo.program import XyloProgram
from toolchain.report import Brief
from toolchain.runs.spikes import plain_array

__all__ = ["XyloRecording", "XyloState", "as_counts", "initial_state", "simulate"]

MOST_STATES = 8_000_000
"""Most neurons times timesteps times samples that are recorded at once where only the outputs are
kept: about a hundred megabytes."""


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

    >>> from toolchain.chips.xylo import XyloProgram
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

    All except ``spikes``, ``state`` and ``readout`` are None unless recorded.

    >>> from toolchain.chips.xylo import XyloProgram
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


def simulate(
    program: XyloProgram,
    raster: npt.ArrayLike,
    *,
    record: bool = False,
    state: XyloState | None = None,
    threads: int | None = None,
) -> XyloRecording:
    """Simulate ``program`` on ``raster``, bit-exact.

    Every call starts from a reset core: nothing is kept in the program. To continue where a call
    ended, pass its state to the next; to reset, omit it.

    Args:
        program: the program.
        raster: input spikes per step, ``(T, Nin)`` for one sample or ``(B, T, Nin)``; whole numbers
            in ``0 .. program.max_input_spikes``, of a boolean, integer or float type.
        record: keep every state of every step; otherwise the last state, and of the outputs what
            the program reads.
        state: initial state; zeros unless given. Not changed.
        threads: number of samples processed at a time; one for each usable processor unless given.
            The result does not depend on it.

    An interrupt (Ctrl-C) ends the run within the time of a few samples.

    Raises:
        ValueError: a raster that is not made of counts the program accepts, a state of another
            program or batch size, ``threads`` below 1.

    Source: see :mod:`toolchain.chips.xylo.simulate.twin`.

    >>> from toolchain.chips.xylo import XyloProgram
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> raster = [[1], [0], [0], [0]]
    >>> simulate(program, raster).spikes.shape
    (1, 4, 1)
    >>> first = simulate(program, raster[:2], record=True)
    >>> second = simulate(program, raster[2:], record=True, state=first.state)  # continues
    >>> fresh = simulate(program, raster[2:], record=True)  # starts after a reset
    >>> int(second.hidden_spikes.sum()), int(fresh.hidden_spikes.sum())
    (4, 0)
    """
    counts = as_counts(program, raster)
    end = initial_state(program, len(counts), state)
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if record or program.readout == "spikes":
        return _run(program, counts, end, record, threads)
    return _outputs_of(program, counts, end, threads)


def _outputs_of(
    program: XyloProgram, counts: npt.NDArray[np.uint8], state: XyloState, threads: int | None
) -> XyloRecording:
    """Record some timesteps after the other and keep the outputs of each alone."""
    batch, steps = counts.shape[:2]
    size = max(1, MOST_STATES // max(1, batch * (program.hidden + program.outputs)))
    found_parts: list[XyloRecording] = []
    for start in range(0, max(1, steps), size):
        part = np.ascontiguousarray(counts[:, start : start + size])
        found = _run(program, part, state, True, threads)
        state = found.state
        found_parts.append(XyloRecording(spikes=found.spikes, state=state, readout=found.readout))
    return XyloRecording(
        spikes=np.concatenate([part.spikes for part in found_parts], axis=1),
        state=state,
        readout=np.concatenate(
            [part.readout for part in found_parts if part.readout is not None], axis=1
        ),
    )


def _run(
    program: XyloProgram,
    counts: npt.NDArray[np.uint8],
    end: XyloState,
    record: bool,
    threads: int | None,
) -> XyloRecording:
    """Run the kernel from the state ``end``, which is overwritten with the last one."""
    # numba takes a third of a second to import; a program alone needs none of it
    from toolchain.chips.xylo.simulate import kernel, tables

    batch, steps = counts.shape[:2]
    spikes = np.zeros((batch, steps, program.outputs), np.int8)
    table = tables.tables(program)
    arrays = tables.State(*(getattr(end, f.name) for f in fields(end)))
    traces = tables.Traces(**_empty_traces(program, batch, steps)) if record else None

    def run(samples: range) -> None:
        kernel.run(table, samples, counts, spikes, arrays, traces)

    each(run, parts(batch, steps * (program.hidden + program.outputs), threads), threads)
    if traces is None:
        return XyloRecording(spikes=spikes, state=end)
    kept = traces._asdict()
    if program.readout != "spikes":
        kept["readout"] = kept[f"{program.readout}_out"]
    kept["saturations"] = _by_population(program, traces.saturations)
    if program.synapses == 1:
        del kept["i_syn_2"]
    if program.core == "v1":
        del kept["hibernation"]
    return XyloRecording(spikes=spikes, state=end, **kept)


def as_counts(program: XyloProgram, raster: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return ``raster`` as contiguous counts ``(B, T, Nin)``, copied only if needed.

    Raises:
        ValueError: it is not an array of counts that the program's input accepts.
    """
    array = plain_array(raster, "raster")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"raster must hold spike counts, got an array of type {array.dtype}")
    if array.ndim not in (2, 3):
        raise ValueError(
            f"raster must be (time, channels) or (batch, time, channels), got shape {array.shape}"
        )
    if array.shape[-1] != program.inputs:
        raise ValueError(
            f"raster must have {program.inputs} channels, the inputs of this program, "
            f"got shape {array.shape}"
        )
    if array.ndim == 2:
        array = array[None]
    limit = program.max_input_spikes
    if array.size and not _all_counts(array, limit):
        raise ValueError(_count_fault(array, limit, program.chip))
    # numba would compile the kernel a second time for arrays that are read-only
    return np.require(array, dtype=np.uint8, requirements=["C", "W"])


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


def _empty_traces(program: XyloProgram, batch: int, steps: int) -> dict[str, npt.NDArray[Any]]:
    """Return arrays for the recording; the kernel writes spikes only where there are any."""
    hidden, outputs = (batch, steps, program.hidden), (batch, steps, program.outputs)
    second = hidden if program.synapses == 2 else (batch, 0, program.hidden)
    return {
        "hidden_spikes": np.zeros(hidden, np.int8),
        "v_mem": np.empty(hidden, np.int16),
        "i_syn": np.empty(hidden, np.int16),
        "i_syn_2": np.empty(second, np.int16),
        "v_mem_out": np.empty(outputs, np.int16),
        "i_syn_out": np.empty(outputs, np.int16),
        "hibernation": np.zeros((batch, steps), np.bool_),
        "saturations": np.zeros((batch, program.hidden + program.outputs), np.int64),
        "hidden_totals": np.zeros((batch, 2, program.hidden), np.int64),
    }


def _all_counts(array: npt.NDArray[Any], limit: int) -> bool:
    """Return whether every value is a whole number in ``0 .. limit``."""
    kind = array.dtype.kind
    # comparisons with NaN are false, so that NaN and infinities fail here too
    inside = kind == "b" or (array.min() >= 0 and array.max() <= limit)
    return bool(inside and (kind != "f" or (np.trunc(array) == array).all()))


def _count_fault(array: npt.NDArray[Any], limit: int, chip: str) -> str:
    """Return the fault of the first value that is not a count, with its position."""
    with np.errstate(invalid="ignore"):
        good = (array >= 0) & (array <= limit) & (np.trunc(array) == array)
    where = tuple(int(i) for i in np.argwhere(~good)[0])
    value = array[where]
    place = f"channel {where[2]}, step {where[1]}, sample {where[0]}"
    if not np.isfinite(value) or value < 0 or np.trunc(value) != value:
        return f"raster must hold whole numbers of spikes, 0 or more, got {value:g} at {place}"
    return (
        f"raster has {value:g} spikes at {place}; {chip} supports at most {limit} per channel and "
        "step"
    )


def _by_population(program: XyloProgram, clamped: npt.NDArray[np.int64]) -> dict[str, int]:
    """Return the sums over the batch and over the neurons of each population."""
    per_neuron = clamped.sum(axis=0)
    first = {"hidden": 0, "output": program.hidden}
    return {
        p.name: int(per_neuron[first[p.role] + p.start : first[p.role] + p.stop].sum())
        for p in program.populations
    }

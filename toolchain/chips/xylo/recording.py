"""Sessions of a Xylo program, with recordings of the common type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import SessionSettings
from toolchain.chips.stream_session import StreamSession, check_names
from toolchain.chips.xylo.counts import of_run
from toolchain.chips.xylo.lower.aliases import own_spikes
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate.recording import XyloRecording, XyloState
from toolchain.chips.xylo.simulate.session import XyloStream
from toolchain.runs import InputSpikes, LayerRecord, Recording
from toolchain.runs.spikes import plain_array

__all__ = ["XyloSession"]


class XyloSession(StreamSession[XyloStream]):
    """Implement the contract's ``ChipSession``: the integer core, piece by piece."""

    def __init__(self, program: XyloProgram, settings: SessionSettings) -> None:
        """Start from a reset core.

        Raises:
            ValueError: options, which the simulation has none of, or invalid settings.
        """
        if settings.options is not None:
            raise ValueError("the simulation of Xylo has no options")
        self._program = program
        self._simple = settings.record is False and program.readout == "spikes"
        own = partial(own_spikes, program)
        batch, threads = settings.batch, settings.threads
        stream = XyloStream(program, batch, record=settings.record, threads=threads, own=own)
        super().__init__(stream, settings)

    def run(self, spikes: InputSpikes, steps: int | None = None) -> Recording:
        """Implement ``ChipSession.run`` for counts (batch, time, *features)."""
        if steps is not None:
            raise ValueError("steps requires event arrays; counts have their own number of steps")
        program, flat = self._program, spikes
        if type(flat) is not np.ndarray or flat.ndim != 3:
            given = plain_array(spikes, "spikes")
            flat = given.reshape(*given.shape[:2], prod(given.shape[2:]))
        first = self._stream.steps
        if self._simple:
            found = self._stream.spikes(flat)
            outputs = self._by_output(found)
            return Recording(spikes=found, outputs=outputs, dt=program.dt, first=first)
        result = self._stream.run(flat)
        recording = Recording(
            spikes=result.spikes,
            outputs=self._by_output(result.spikes),
            saturations=result.saturations or {},
            dt=program.dt,
            readout=result.readout,
            recorded=result.recorded,
            first=first,
        )
        if not self._everything:
            return recording
        assert result.hidden_spikes is not None
        counted = None if program.dt is None else of_run(program, flat, result)
        result = replace(result, hidden_spikes=own_spikes(program, result.hidden_spikes))
        layers = {p.name: _layer(result, p) for p in program.populations}
        return replace(recording, layers=layers, activity=counted)

    def state(self) -> Mapping[str, Array]:
        """Implement ``ChipSession.state``: the arrays of a ``XyloState``."""
        state = self._stream.state()
        return {f.name: getattr(state, f.name) for f in fields(state)}

    def restore(self, state: Mapping[str, Array], steps: int) -> None:
        """Implement ``ChipSession.restore``."""
        check_names(state, [f.name for f in fields(XyloState)])
        self._stream.restore(XyloState(**state), steps)


def _layer(result: XyloRecording, p: Population) -> LayerRecord:
    ids = (..., slice(p.start, p.stop))
    assert result.hidden_spikes is not None
    assert result.v_mem is not None
    assert result.i_syn is not None
    assert result.v_mem_out is not None
    assert result.i_syn_out is not None
    if p.role == "output":
        return LayerRecord(
            spikes=result.spikes[ids], v_mem=result.v_mem_out[ids], i_syn=result.i_syn_out[ids]
        )
    second = result.i_syn_2
    return LayerRecord(
        spikes=result.hidden_spikes[ids],
        v_mem=result.v_mem[ids],
        i_syn=result.i_syn[ids],
        i_syn_2=None if second is None else second[ids],
    )

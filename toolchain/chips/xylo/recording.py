"""Runs of a Xylo program as recordings of the common type."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from toolchain.chips.contract import Timing
from toolchain.chips.xylo.counts import of_run
from toolchain.chips.xylo.lower.aliases import own_spikes
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate.recording import XyloRecording
from toolchain.chips.xylo.simulate.run import simulate
from toolchain.runs import InputSpikes, LayerRecord, Recording
from toolchain.runs.spikes import plain_array

__all__ = ["record_run"]


def record_run(
    program: XyloProgram, spikes: InputSpikes, record: bool, timing: Timing = "clocked"
) -> Recording:
    """Run the integer core, which is clocked, on counts (batch, time, *features)."""
    del timing
    spikes = plain_array(spikes, "spikes")
    flat = spikes.reshape(*spikes.shape[:2], prod(spikes.shape[2:]))
    result = simulate(program, flat, record=record)
    counted = of_run(program, flat, result) if record and program.dt is not None else None
    if result.hidden_spikes is not None:
        result = replace(result, hidden_spikes=own_spikes(program, result.hidden_spikes))
    layers = {p.name: _layer(result, p) for p in program.populations} if record else {}
    return Recording(
        spikes=result.spikes,
        layers=layers,
        saturations=result.saturations or {},
        dt=program.dt,
        activity=counted,
        readout=result.readout,
    )


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

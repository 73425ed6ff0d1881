"""Xylo's answers to ``toolchain.chips.family``: each a line into the room that does the work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod
from typing import Any, Literal

import numpy as np

from toolchain.chips.family import Resource
from toolchain.chips.xylo.emit import configuration
from toolchain.chips.xylo.graph_rules import check_graph, topology_is_sound
from toolchain.chips.xylo.layers import read_layers
from toolchain.chips.xylo.lower import lower
from toolchain.chips.xylo.power import activity, activity_at
from toolchain.chips.xylo.power import estimate as cost
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.rules import check
from toolchain.chips.xylo.simulate import XyloRecording
from toolchain.chips.xylo.simulate import simulate as run
from toolchain.diagnostics import Diagnostic
from toolchain.hardware import XyloChip
from toolchain.ir import Array, Graph
from toolchain.ir.peaks import state_peaks
from toolchain.passes import fold_gain, match_rates, snap_decays
from toolchain.passes import quantize as to_integers
from toolchain.passes.quantize import Bits
from toolchain.recording import LayerRecord, Recording

__all__ = [
    "QUANTIZERS",
    "TIMINGS",
    "activity",
    "activity_at",
    "approximate",
    "can_lower",
    "check",
    "check_graph",
    "cost",
    "emit",
    "lag",
    "lags",
    "lower",
    "pack",
    "place",
    "placement",
    "quantize",
    "resources",
    "shape",
    "simulate",
    "unpack",
]

QUANTIZERS = ("auto",)
TIMINGS = ("clocked",)

can_lower = topology_is_sound
emit = configuration


def shape(graph: Graph) -> Graph:
    """Xylo has dense layers of neurons, as the graph does."""
    return graph


def approximate(
    graph: Graph, chip: XyloChip, allow: Collection[str]
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Xylo knows no approximation yet."""
    del chip
    if allow:
        raise ValueError(f"no approximation {', '.join(sorted(allow))} on Xylo; there is none")
    return graph, ()


def quantize(
    graph: Graph, chip: XyloChip, calibration: Array | None, method: str = "auto"
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Bit-shift decays, and one scale a neuron for its weights, bias and threshold.

    With calibration spikes, layers whose decays the chip cannot hold are brought back to the
    firing rate they were trained for, and no state leaves its word.
    """
    del method
    limits = chip.limits
    bits = Bits(
        weight=int(limits.weight_width.value),
        bias=None if limits.bias_width is None else int(limits.bias_width.value),
        threshold=int(limits.threshold_width.value),
        state=int(limits.state_width.value),
    )
    snapped = snap_decays(graph, dash_bits=int(limits.dash_width.value))
    if calibration is None:
        return to_integers(fold_gain(snapped), bits=bits, per="neuron"), ()
    matched = fold_gain(match_rates(snapped, graph, calibration))
    peaks = state_peaks(matched, calibration)
    return to_integers(matched, bits=bits, per="neuron", peaks=peaks), ()


def place(
    program: XyloProgram, chip: XyloChip, by_hand: Mapping[str, int] | None = None
) -> tuple[XyloProgram, tuple[Diagnostic, ...]]:
    """Ids were allocated when the program was made; whether they fit is asked by the rules."""
    if by_hand is not None:
        raise ValueError(f"{chip.name} has one core, and Xylo allocates ids itself: no placement=")
    return program, ()


def placement(program: XyloProgram) -> dict[str, str]:
    """Layer to neuron ids, ``hidden 0..59``."""
    return {p.name: f"{p.role} {p.start}..{p.stop - 1}" for p in program.populations}


def resources(program: XyloProgram, chip: XyloChip) -> tuple[Resource, ...]:
    """Channels, neurons and recurrent entries of each layer against those of the chip."""
    limits, fan_out = chip.limits, program.fan_out()
    rows = [
        Resource(
            layer=program.input_name,
            place=f"channels 0..{program.inputs - 1}",
            resource="input channels",
            used=program.inputs,
            limit=int(limits.input_channels.value),
            unit="channel",
        )
    ]
    for p in program.populations:
        hidden = p.role == "hidden"
        limit = limits.hidden_neurons if hidden else limits.output_neurons
        rows.append(_row(program, p, f"{p.role} neurons", p.stop - p.start, int(limit.value)))
        if hidden:
            entries = int(fan_out[p.start : p.stop].sum())
            most = int(limits.fan_out_memory.value)
            rows.append(_row(program, p, "recurrent entries", entries, most, "entry"))
            widest = int(fan_out[p.start : p.stop].max())
            most = int(limits.fan_out.value)
            rows.append(_row(program, p, "widest fan-out", widest, most))
    return tuple(rows)


def _row(
    program: XyloProgram, p: Population, what: str, used: int, limit: int, unit: str = "neuron"
) -> Resource:
    where = placement(program)[p.name]
    return Resource(layer=p.name, place=where, resource=what, used=used, limit=limit, unit=unit)


def lag(graph: Graph) -> int:
    """One timestep for each hop between layers."""
    return read_layers(graph).lag()


def lags(graph: Graph) -> dict[str, int]:
    """The same of each layer."""
    return read_layers(graph).lags()


def simulate(
    program: XyloProgram,
    spikes: Array,
    *,
    record: bool,
    timing: Literal["clocked", "event"],
) -> Recording:
    """The integer core on (batch, time, *features) counts; Xylo is clocked."""
    if timing != "clocked":
        raise ValueError(f"{program.chip} is clocked; timing={timing!r} is for Speck")
    spikes = np.asarray(spikes)
    flat = spikes.reshape(*spikes.shape[:2], prod(spikes.shape[2:]))
    result = run(program, flat, record=record)
    layers = {p.name: _layer(result, p) for p in program.populations} if record else {}
    return Recording(
        spikes=result.spikes,
        layers=layers,
        saturations=result.saturations or {},
        dt=program.dt,
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


def pack(program: XyloProgram) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and metadata."""
    return program.to_arrays()


def unpack(arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> XyloProgram:
    """The program of ``pack``."""
    return XyloProgram.from_arrays(arrays, metadata)

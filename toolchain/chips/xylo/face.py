"""Xylo's answers to ``toolchain.chips.family``: each a line into the room that does the work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import prod
from typing import Any, Literal

import numpy as np

from toolchain.chips.family import Resource
from toolchain.chips.xylo import approximations
from toolchain.chips.xylo.conditions import DIFFERENCES, conditions
from toolchain.chips.xylo.counts import activity, activity_at, of_run
from toolchain.chips.xylo.emit.tree import configuration
from toolchain.chips.xylo.live.boards import to_samna
from toolchain.chips.xylo.lower.aliases import own_spikes
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.maps import without_maps
from toolchain.chips.xylo.power import estimate as cost
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.quantize import QUANTIZERS
from toolchain.chips.xylo.quantize import quantize as to_integers
from toolchain.chips.xylo.rules.graph import check_graph, topology_is_sound
from toolchain.chips.xylo.rules.neurons import neuron_bias
from toolchain.chips.xylo.rules.program import check
from toolchain.chips.xylo.simulate.run import XyloRecording
from toolchain.chips.xylo.simulate.run import simulate as run
from toolchain.chips.xylo.store import from_arrays, to_arrays
from toolchain.diagnostics import Diagnostic
from toolchain.hardware import XyloChip
from toolchain.ir import Array, Graph
from toolchain.passes import carry_bias, fold_gain
from toolchain.recording import LayerRecord, Recording

__all__ = [
    "APPROXIMATIONS",
    "DIFFERENCES",
    "QUANTIZERS",
    "TIMINGS",
    "TITLE",
    "activity",
    "activity_at",
    "approximate",
    "can_lower",
    "check",
    "check_graph",
    "conditions",
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
    "to_samna",
    "unpack",
    "with_readout",
]

TIMINGS = ("clocked",)
pack = to_arrays
unpack = from_arrays
TITLE = "Xylo"
APPROXIMATIONS = tuple(approximations.APPROXIMATIONS)

emit = configuration


def can_lower(graph: Graph, chip: XyloChip) -> bool:
    """Whether layers are joined soundly, and no bias is left that the chip's core lacks."""
    return topology_is_sound(graph, chip) and not any(neuron_bias(graph, chip))


def shape(graph: Graph) -> Graph:
    """Xylo has dense layers of neurons, without maps, and biases on neurons alone."""
    return carry_bias(fold_gain(without_maps(graph)))


def approximate(
    graph: Graph, chip: XyloChip, allow: Collection[str]
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Rewrites accepted by name; see ``approximations``."""
    return approximations.approximate(graph, chip, allow)


def quantize(
    graph: Graph, chip: XyloChip, calibration: Array | None, method: str = "auto"
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Integers by the method named; see ``toolchain.chips.xylo.quantize``."""
    return to_integers(graph, chip, calibration, method)


def with_readout(program: XyloProgram, settings: Mapping[str, Any]) -> XyloProgram:
    """Xylo's outputs are read as they are."""
    del settings
    raise ValueError(f"{program.chip} has no readout block: no readout=")


def place(
    program: XyloProgram, chip: XyloChip, by_hand: Mapping[str, int] | None = None
) -> tuple[XyloProgram, tuple[Diagnostic, ...]]:
    """Ids were allocated when the program was made; whether they fit is asked by the rules."""
    if by_hand is not None:
        raise ValueError(f"{chip.name} has one core, and Xylo allocates ids itself: no placement=")
    return program, ()


def placement(program: XyloProgram) -> dict[str, str]:
    """Layer to neuron ids, ``hidden 0..59``, and to those that it is an alias for."""
    return {
        p.name: f"{p.role} {p.start}..{p.stop - 1}{_aliased(program, p)}"
        for p in program.populations
    }


def _aliased(program: XyloProgram, p: Population) -> str:
    own = program.aliases[p.start : p.stop] if p.role == "hidden" else ()
    ids = [target for targets in own for target in targets]
    return f" -> {ids[0]}..{ids[-1]}" if ids else ""


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
        neurons = _row(program, p, f"{p.role} neurons", p.stop - p.start, int(limit.value))
        rows.append(replace(neurons, shared=True))
        if hidden:
            entries = int(fan_out[p.start : p.stop].sum())
            most = int(limits.fan_out_memory.value)
            entered = _row(program, p, "recurrent entries", entries, most, "entry")
            rows.append(replace(entered, shared=True))
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

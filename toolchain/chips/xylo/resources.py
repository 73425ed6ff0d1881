"""Neuron ids of layers on a Xylo chip, and their use of its resources."""

from __future__ import annotations

from dataclasses import replace

from toolchain.chips.contract import Options, Resource
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic

__all__ = ["place", "placement", "resources", "unplaced"]


def place(
    program: XyloProgram, chip: XyloChip, options: Options
) -> tuple[XyloProgram, tuple[Diagnostic, ...]]:
    """Return the program as it is: ids are allocated when a graph is lowered."""
    del chip, options
    return program, ()


def unplaced(program: XyloProgram) -> XyloProgram:
    """Return the program without its chip's name, which no simulation reads."""
    return replace(program, chip="")


def placement(program: XyloProgram) -> dict[str, str]:
    """Return neuron ids by layer, ``hidden 0..59``, and the ids of its alias targets."""
    return {
        p.name: f"{p.role} {p.start}..{p.stop - 1}{_aliased(program, p)}"
        for p in program.populations
    }


def _aliased(program: XyloProgram, p: Population) -> str:
    own = program.aliases[p.start : p.stop] if p.role == "hidden" else ()
    ids = [target for targets in own for target in targets]
    return f" -> {ids[0]}..{ids[-1]}" if ids else ""


def resources(program: XyloProgram, chip: XyloChip) -> tuple[Resource, ...]:
    """Return channels, neurons and recurrent entries of each layer with the chip's limits."""
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

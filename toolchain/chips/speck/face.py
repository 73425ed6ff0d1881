"""Speck's answers to ``toolchain.chips.family``: each a line into the room that does the work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np

from toolchain.chips.family import Resource
from toolchain.chips.speck import place as placing
from toolchain.chips.speck.emit import configuration
from toolchain.chips.speck.graph_rules import check_graph, topology_is_sound
from toolchain.chips.speck.lower import lower
from toolchain.chips.speck.power import activity, activity_at
from toolchain.chips.speck.power import estimate as cost
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules import check
from toolchain.chips.speck.simulate import simulate as run
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.hardware import SpeckChip
from toolchain.ir import Array, Conv2d, Graph, Linear
from toolchain.ir.peaks import state_peaks
from toolchain.passes import linear_to_conv
from toolchain.passes.quantize import Bits, Scale, rounded, scales
from toolchain.passes.weights import weights_of
from toolchain.recording import LayerRecord, Recording

__all__ = [
    "QUANTIZERS",
    "activity",
    "activity_at",
    "approximate",
    "can_lower",
    "check",
    "check_graph",
    "cost",
    "emit",
    "lag",
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

can_lower = topology_is_sound


def shape(graph: Graph) -> Graph:
    """Every dense layer as a convolution."""
    return linear_to_conv(graph)


def approximate(
    graph: Graph, chip: SpeckChip, allow: Collection[str]
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Speck knows no approximation yet."""
    del chip
    if allow:
        raise ValueError(f"no approximation {', '.join(sorted(allow))} on Speck; there is none")
    return graph, ()


def quantize(
    graph: Graph, chip: SpeckChip, calibration: Array | None, method: str = "auto"
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """One scale a layer for weights, biases, threshold and floor.

    Biases use the 16 bit that the chip has; the vendor's tool gives them 8, which costs weights
    their resolution.
    """
    del method
    limits = chip.limits
    bits = Bits(
        weight=int(limits.weight_width.value),
        bias=int(limits.bias_width.value),
        threshold=int(limits.threshold_width.value),
        state=int(limits.state_width.value),
    )
    peaks = None if calibration is None else state_peaks(graph, calibration)
    found = scales(graph, bits=bits, per="layer", peaks=peaks)
    made = rounded(graph, found)
    most = 2 ** (bits.weight - 1) - 1
    return made, tuple(_levels(made, name, scale, most) for name, scale in found.items())


def _levels(made: Graph, name: str, scale: Scale, most: int) -> Diagnostic:
    """Levels that the weights of layer ``name`` use, and what allows no more."""
    weights = [made[weight] for weight in weights_of(made, name) or ()]
    dense = [w.weight for w in weights if isinstance(w, (Conv2d, Linear))]
    used = max((int(np.abs(weight).max(initial=0)) for weight in dense), default=0)
    return Diagnostic(
        rule="levels",
        severity=Severity.INFO,
        where=name,
        message=f"weights use {used} of {most} levels; limited by {scale.limited_by}",
    )


def place(program: SpeckProgram, chip: SpeckChip) -> tuple[SpeckProgram, tuple[Diagnostic, ...]]:
    """A core for each layer; what the memory rules say of a layer is not said again."""
    placement = placing.place(program, chip)
    if placement.cores is not None:
        return program.placed(placement.cores), ()
    told = {core.name for core in program.cores if placing.fits_no_memory(core, chip)}
    return program, tuple(f for f in placement.findings if f.where not in told)


def placement(program: SpeckProgram) -> dict[str, str]:
    """Layer to core, ``core 3``."""
    return {core.name: f"core {core.core}" for core in program.cores}


def resources(program: SpeckProgram, chip: SpeckChip) -> tuple[Resource, ...]:
    """The three memories of each layer against those of its core."""
    rows = []
    for core in program.cores:
        spec = next(s for s in chip.cores if s.id == core.core)
        for what, used, limit in (
            ("kernel memory", core.kernel_words, spec.kernel_memory),
            ("neuron memory", core.neuron_words, spec.neuron_memory),
            ("bias memory", core.bias_words, spec.bias_memory),
        ):
            rows.append(
                Resource(
                    layer=core.name,
                    place=f"core {core.core}",
                    resource=what,
                    used=used,
                    limit=int(limit.value),
                    unit="word",
                )
            )
    return tuple(rows)


def lag(graph: Graph) -> int:
    """None: events pass all layers within the timestep."""
    del graph
    return 0


def simulate(
    program: SpeckProgram,
    spikes: Array,
    *,
    record: bool,
    timing: Literal["clocked", "event"],
) -> Recording:
    """The integer cores on (batch, time, channels, height, width) counts."""
    result = run(program, spikes, record=record, timing=timing)
    out = result.outputs[program.outputs[0]]
    return Recording(
        spikes=out.reshape(*out.shape[:2], int(np.prod(out.shape[2:]))),
        layers={
            name: LayerRecord(spikes=layer.spikes, v_mem=layer.v_mem)
            for name, layer in result.layers.items()
        },
        saturations=dict(result.saturations),
        dt=program.dt,
    )


def emit(program: SpeckProgram, chip: SpeckChip) -> dict[str, Any]:
    """The vendor's attribute tree."""
    del chip
    return configuration(program)


def pack(program: SpeckProgram) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and metadata."""
    return program.to_arrays()


def unpack(arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> SpeckProgram:
    """The program of ``pack``."""
    return SpeckProgram.from_arrays(arrays, metadata)

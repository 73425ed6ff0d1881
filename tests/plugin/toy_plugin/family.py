"""The toy chip family: its functions and its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.conditions import state_word
from toolchain.chips.contract import Capability, Family, Options, Resource
from toolchain.chips.functions import FamilyOf, Functions, own_chip
from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Estimate
from toolchain.estimate.assemble import assemble, check_layers
from toolchain.fidelity.ledger import Changes, Effect
from toolchain.hardware import SpecBase
from toolchain.ir import Graph, Linear, Neuron
from toolchain.runs import Activity
from toy_plugin import program as programs
from toy_plugin import rules
from toy_plugin.program import Layer, ToyProgram, ToySession
from toy_plugin.spec import ToyChip

__all__ = ["Toy"]

QUANTIZERS = ("weights",)


def quantize(
    graph: Graph, chip: ToyChip, calibration: Array | None, method: str
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Scale each layer so that its largest weight becomes the largest integer of the chip."""
    del calibration, method
    top = 2 ** (int(chip.limits.weight_width.value) - 1) - 1
    most = 2 ** (int(chip.limits.threshold_width.value) - 1) - 1
    changes: dict[str, Linear | Neuron] = {}
    for name, node in graph.of(Linear).items():
        then = graph.after(name)
        neurons = None if then is None else graph[then]
        if then is None or not isinstance(neurons, Neuron):
            continue
        threshold = float(np.mean(neurons.v_threshold))
        scale = min(top / max(float(np.abs(node.weight).max(initial=0)), 1e-9), most / threshold)
        changes[name] = replace(node, weight=np.rint(node.weight * scale).astype(np.int64))
        whole = np.asarray(max(1, round(threshold * scale)), np.int64)
        changes[then] = replace(neurons, v_threshold=whole)
    return graph.replace(changes), ()


def lower(graph: Graph, chip: ToyChip, options: Options) -> ToyProgram:
    """Return the program of a quantized graph."""
    del options
    layers = []
    for name, node in graph.of(Neuron).items():
        weight = graph[graph.before(name)]
        assert isinstance(weight, Linear)
        threshold = int(np.max(node.v_threshold))
        layers.append(Layer(name=name, weight=weight.weight, threshold=threshold))
    return ToyProgram(chip=chip.name, dt=graph.dt, input_name=graph.input, layers=tuple(layers))


def conditions(
    graph: Graph, quantized: Graph, chip: ToyChip, effects: Mapping[str, Effect] | None
) -> Changes:
    """Return the ledger entry about the width of states, for each layer."""
    del graph
    width = chip.limits.state_width
    return {name: [state_word((effects or {}).get(name), width)] for name in quantized.of(Neuron)}


def place(
    program: ToyProgram, chip: ToyChip, options: Options
) -> tuple[ToyProgram, tuple[Diagnostic, ...]]:
    """Return the program unchanged: neurons are numbered in the order of the layers."""
    del chip, options
    return program, ()


def placement(program: ToyProgram) -> dict[str, str]:
    """Return neuron ids by layer."""
    ends = np.cumsum([len(layer.weight) for layer in program.layers]).tolist()
    return {
        layer.name: f"neurons {end - len(layer.weight)}..{end - 1}"
        for layer, end in zip(program.layers, ends, strict=True)
    }


def resources(program: ToyProgram, chip: ToyChip) -> tuple[Resource, ...]:
    """Return the number of neurons that each layer uses."""
    places, limit = placement(program), int(chip.limits.neurons.value)
    return tuple(
        Resource(
            layer=layer.name,
            place=places[layer.name],
            resource="neurons",
            used=len(layer.weight),
            limit=limit,
            unit="neuron",
            shared=True,
        )
        for layer in program.layers
    )


def cost(
    program: ToyProgram,
    chip: ToyChip,
    counted: Activity,
    clock_hz: float | None,
    modes: Mapping[str, str],
) -> Estimate:
    """Estimate power and energy from the number of synaptic operations."""
    if clock_hz is not None:
        raise ValueError(f"{chip.name} has no main clock; omit clock_hz")
    check_layers(counted.layers, [program.input_name, *placement(program)])
    synops = {layer.name: layer.synops_per_step for layer in counted.layers[1:]}
    return assemble(
        chip,
        counted,
        {"synop": synops},
        step_s=counted.dt,
        clock_hz=None,
        modes=modes,
        places=placement(program),
        latency=None,
        pace=(),
        not_priced=(),
    )


def config(program: ToyProgram, chip: ToyChip) -> Mapping[str, Any]:
    """Return weights and thresholds as lists."""
    layers = [{"weight": x.weight.tolist(), "threshold": x.threshold} for x in program.layers]
    return {"chip": chip.name, "layers": layers}


FUNCTIONS = Functions(
    shape=lambda graph: graph,
    approximate=rules.approximate,
    check_graph=rules.check_graph,
    can_lower=rules.can_lower,
    quantize=quantize,
    lower=lower,
    conditions=conditions,
    lag=lambda graph: 0,
    lags=lambda graph: dict.fromkeys(graph.of(Neuron), 0),
    check=rules.check,
    place=place,
    placement=placement,
    resources=resources,
    simulate=programs.run,
    session=ToySession,
    activity=programs.activity,
    activity_at=programs.activity_at,
    cost=cost,
    config=config,
    pack=programs.pack,
    unpack=programs.unpack,
)


class Toy(FamilyOf[ToyProgram, ToyChip]):
    """Toy family, bound to one of its chips."""

    NAME: ClassVar[str] = "toy"
    TITLE: ClassVar[str] = "Toy"
    SPEC: ClassVar[type[SpecBase]] = ToyChip
    QUANTIZERS: ClassVar[tuple[str, ...]] = QUANTIZERS
    APPROXIMATIONS: ClassVar[tuple[str, ...]] = tuple(rules.APPROXIMATIONS)
    CAPABILITIES: ClassVar[frozenset[Capability]] = frozenset({"session"})

    @classmethod
    def on(cls, chip: SpecBase) -> Toy:
        """Return the family bound to a toy chip."""
        return cls(own_chip(chip, ToyChip, cls.TITLE))

    def functions(self) -> Functions[ToyProgram, ToyChip]:
        """Return the table of the family's functions."""
        return FUNCTIONS


CONTRACT: type[Family] = Toy
"""Checked by mypy: the class implements the contract."""

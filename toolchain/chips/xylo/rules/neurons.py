"""What neurons may compute on Xylo: rules on the real-valued graph, each yielding findings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toolchain.chips.rules.findings import Rule, error, info
from toolchain.chips.rules.graph import capped, comparison, each, reset_of, unusual
from toolchain.chips.xylo.lower.aliases import received_by
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.chips.xylo.rules.topology import topology_is_sound
from toolchain.diagnostics import Diagnostic, times
from toolchain.hardware import XyloChip
from toolchain.ir import Array, Graph, Linear, Neuron, time_constant
from toolchain.passes.dashes import dashes

__all__ = ["NEURONS", "neuron_bias"]


@each(Neuron)
def reset(node: Neuron, chip: XyloChip) -> Iterator[str]:
    """A spike takes its threshold off the membrane, in the same timestep."""
    if node.reset != "subtract" or node.reset_when != "same":
        yield f"resets by {reset_of(node)!r}, {chip.name} only by 'subtract'"
    elif node.reset_amount is not None and np.any(node.reset_amount != node.v_threshold):
        yield f"subtracts something else than its threshold; {chip.name} has one number for both"


@each(Neuron)
def potentials(node: Neuron, chip: XyloChip) -> Iterator[str]:
    """Membranes start and rest at 0, have no floor and no gain, and a spike counts 1."""
    yield from unusual(node, {"v_leak": 0, "v_init": 0, "spike_scale": 1, "gain": 1}, chip)
    if node.v_min is not None:
        yield f"has a membrane floor (v_min), {chip.name} has none"


def synapse(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Every neuron has one synaptic current or two; output neurons have one."""
    limits = chip.limits
    for name, node in graph.of(Neuron).items():
        output = name in graph.outputs
        limit = limits.output_synapses if output else limits.hidden_synapses
        if not node.synapses:
            yield error(
                "synapse",
                name,
                f"has no synaptic current; {chip.name} cannot switch its own off (train with "
                "tau_syn)",
            )
        elif node.synapses > limit.value:
            yield error(
                "synapse",
                name,
                f"has {node.synapses} synaptic currents a neuron, {chip.name} has {limit.value}",
                node.synapses,
                limit,
                chip,
            )
        if node.synapses and node.syn_order != "add_decay":
            yield error(
                "synapse",
                name,
                f"decays its current before the input is added, {chip.name} after it; the weights "
                "could not take up the difference",
            )


def time_constants(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Decays are bit shifts of 1 up to the largest that the register holds."""
    top = 2 ** int(chip.limits.dash_width.value) - 1
    for name, node in graph.of(Neuron).items():
        for field, alpha in (("tau_mem", node.alpha_mem), ("tau_syn", node.alpha_syn)):
            if alpha is None:
                continue
            shifts = dashes(alpha)
            worst = float(shifts.max() if shifts.max() > top + 0.5 else shifts.min())
            if top + 0.5 >= worst > 0:
                continue
            yield error(
                "time_constants",
                name,
                f"{field} {_need(alpha, shifts, worst, graph.dt)}, {chip.name} has shifts of "
                f"1 to {top}",
                None if np.isinf(worst) else worst,
                chip.limits.dash_width,
                chip,
                limit=top,
            )


def _need(alpha: Array, shifts: Array, worst: float, dt: float | None) -> str:
    if np.isinf(worst):
        return "is infinite, the state never decays"
    if worst <= 0:
        return "is 0, the state is cleared every step"
    text = f"needs a bit shift of {worst:.1f}"
    if dt is None:
        return text
    return f"{float(time_constant(alpha[shifts == worst].flat[0], dt)):g} s {text}"


@each(Linear)
def linear_bias(node: Linear, chip: XyloChip) -> Iterator[str]:
    """A bias acts on the membrane; one on the weights would go through the synapse."""
    if node.bias is not None and np.any(node.bias):
        yield (
            f"has a bias, which passes the synapse of the neurons behind it; {chip.name} adds "
            "biases to the membrane (train with bias=False and a bias on the neurons)"
        )


@each(Neuron)
def neuron_bias(node: Neuron, chip: XyloChip) -> Iterator[str]:
    """Neurons have a bias only where the chip's core adds one."""
    if chip.limits.bias_width is None and np.any(node.bias):
        yield f"has a bias, {chip.name} has none"


def spike_caps(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A neuron may spike as often in a step as the chip lets it, with what it passes on."""
    aliases = arrange(read_layers(graph), chip).aliases if topology_is_sound(graph, chip) else {}
    for name, node in graph.of(Neuron).items():
        output = name in graph.outputs
        limit = chip.limits.output_spikes if output else chip.limits.hidden_spikes
        others = received_by(name, aliases)
        cap = node.max_spikes
        if cap is not None and cap < limit.value:
            yield error(
                "spike_caps",
                name,
                f"{capped(cap)}, {chip.name} at {limit.value}",
                cap,
                limit,
                chip,
            )
        elif cap is None or cap > limit.value or others:
            yield info(
                "spike_caps",
                name,
                f"exact while no neuron spikes more than {times(int(limit.value))} a step"
                + (f", those of {_listed(others)} that it passes on included" if others else ""),
                None,
                limit,
                chip,
                limit=limit.value,
            )


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(map(repr, names))


NEURONS: tuple[Rule[Graph, XyloChip], ...] = (
    reset,
    comparison,
    potentials,
    synapse,
    time_constants,
    linear_bias,
    neuron_bias,
    spike_caps,
)

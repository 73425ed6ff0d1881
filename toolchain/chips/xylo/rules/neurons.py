"""Rules on what neurons compute: on the real-valued graph, each yielding findings."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.rules.each import At, each
from toolchain.chips.rules.findings import Findings, error, info, some
from toolchain.chips.rules.graph import (
    GraphRules,
    comparison,
    node_rule,
    nodes,
    required_values,
    reset_amount_differs,
    reset_of,
)
from toolchain.chips.xylo.dashes import FASTEST, dashes, too_fast, too_slow
from toolchain.chips.xylo.lower.aliases import received_by
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.chips.xylo.rules.topology import topology_is_sound
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph, Linear, Membrane, Neuron, time_constant
from toolchain.report import plural, times

__all__ = ["NEURONS", "neuron_bias"]

AtMembrane: TypeAlias = At[Graph, XyloChip, Membrane]


reset = node_rule(
    "reset",
    Neuron,
    (
        lambda node: node.reset != "subtract" or node.reset_when != "same",
        lambda node: f"resets by {reset_of(node)!r}; {{chip}} supports 'subtract' only",
    ),
    (
        lambda node: reset_of(node) == "subtract" and reset_amount_differs(node),
        "reset_amount differs from v_threshold; {chip} stores one value for both",
    ),
)


potentials = node_rule(
    "potentials",
    Membrane,
    *required_values(v_leak=0, v_init=0, spike_scale=1, gain=1),
    (
        lambda node: isinstance(node, Neuron) and node.v_min is not None,
        "has a membrane floor (v_min), {chip} has none",
    ),
)


@each(nodes(Membrane))
def synapse(at: AtMembrane) -> Findings:
    """Check that every neuron has one synaptic current or two, and output neurons one."""
    number, chip = at.item.synapses, at.chip
    output = at.name in at.subject.outputs
    limit = chip.limits.output_synapses if output else chip.limits.hidden_synapses
    if not number:
        yield at.finding(
            f"has no synaptic current; {chip.name} cannot disable its synapses (train with tau_syn)"
        )
    elif number > limit.value:
        message = f"has {number} synaptic currents per neuron, {chip.name} has {limit.value}"
        yield at.finding(message, number, limit)
    if number and at.item.syn_order != "add_decay":
        yield at.finding(
            f"decays its current before the input is added, {chip.name} after it; weights cannot "
            "compensate for the difference"
        )


@each(nodes(Membrane))
def time_constants(at: AtMembrane) -> Findings:
    """Check that every decay has a bit shift whose time constant is not more than twice off."""
    node, width = at.item, at.chip.limits.dash_width
    top = 2 ** int(width.value) - 1
    for field, alpha in (("tau_mem", node.alpha_mem[..., None]), ("tau_syn", node.alpha_syn)):
        if alpha is None:
            continue
        alpha = np.broadcast_to(alpha, (*node.shape, alpha.shape[-1]))
        membrane = field == "tau_mem"
        for outside in (too_slow(alpha, top), too_fast(alpha, membrane=membrane)):
            if not outside.any():
                continue
            slowest = alpha[outside].max()
            worst = slowest if slowest > FASTEST else alpha[outside].min()
            shift = float(dashes(worst))
            shifts = f"1 to {top}" if worst > FASTEST else "1 and more"
            if membrane and worst < FASTEST:
                shifts = "0, which keeps nothing, and of 1 and more"
            message = (
                f"{field}{_neurons(outside)} {_need(worst, shift, at.subject.dt)}, "
                f"{at.chip.name} has shifts of {shifts}"
            )
            yield at.finding(message, None if np.isinf(shift) else shift, width, limit=top)


def _need(alpha: Array, shift: float, dt: float | None) -> str:
    """Return what the worst decay factor of a layer needs, in s or in timesteps."""
    if np.isinf(shift):
        return "is infinite, the state never decays"
    if alpha == 0:
        return "is 0, the current is cleared before it reaches the membrane"
    text = f"needs a bit shift of {shift:.{1 if shift > 1 else 2}f}"
    return text if dt is None else f"is {float(time_constant(alpha, dt)):g} s, which {text}"


def _neurons(outside: Array) -> str:
    """Return which neurons of a mask (*shape, states) have any; empty for all of them."""
    each = outside.reshape(-1, outside.shape[-1]).any(axis=1)
    ids = np.flatnonzero(each)
    if len(ids) == each.size:
        return ""
    first = ", ".join(map(str, ids[:4].tolist())) + (", ..." if len(ids) > 4 else "")
    return f" in {some(len(ids), each.size, 'neuron')} ({first})"


linear_bias = node_rule(
    "linear_bias",
    Linear,
    (
        lambda node: node.bias is not None and np.any(node.bias),
        "has a bias that acts through the synapse of the next layer; {chip} adds biases to the "
        "membrane (train with bias=False and a bias on the neurons)",
    ),
)


def neuron_bias(graph: Graph, chip: XyloChip) -> Findings:
    """Check that neurons have a bias only where the chip's core adds one."""
    if chip.limits.bias_width is None:
        yield from _no_bias(graph, chip)


_no_bias = node_rule(
    "neuron_bias", Membrane, (lambda node: np.any(node.bias), "has a bias, {chip} has none")
)


def spike_caps(graph: Graph, chip: XyloChip) -> Findings:
    """Check that spike caps are not below the chip's; note the chip's cap, aliases included."""
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
                f"is capped at {plural(cap, 'spike')} per step, {chip.name} at {limit.value}",
                cap,
                limit,
                chip,
            )
        elif cap is None or cap > limit.value or others:
            yield info(
                "spike_caps",
                name,
                f"exact while no neuron spikes more than {times(int(limit.value))} per step"
                + (f", spikes passed on from {_listed(others)} included" if others else ""),
                None,
                limit,
                chip,
                limit=limit.value,
            )


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(map(repr, names))


NEURONS: GraphRules[XyloChip] = (
    reset,
    comparison,
    potentials,
    synapse,
    time_constants,
    linear_bias,
    neuron_bias,
    spike_caps,
)

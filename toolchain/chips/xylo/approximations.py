"""Approximations: rewrites that change a network's behaviour and that a user accepts (``allow``).

Each is named ``before->after``. It returns the graph that the chip computes, so that every later
step, the reference of the integers included, describes the chip, and a warning for each layer that
it changed, under its own name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.allow import (
    EVERYWHERE,
    Approximation,
    RewriteResult,
    apply_approximations,
    each_layer,
    each_neuron,
    lift_caps,
)
from toolchain.chips.rules.findings import warning
from toolchain.chips.xylo.dashes import FASTEST, too_fast, too_slow
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.rules.topology import topology_is_sound
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Edge, Graph, Linear, Membrane, Neuron, Output, time_constant
from toolchain.passes.carry_bias import carry_bias, settled
from toolchain.passes.weights import weights_of
from toolchain.report import plural

__all__ = ["APPROXIMATIONS", "approximate"]


def subtract(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Replace reset to 0 by subtraction of the threshold."""

    def change(name: str, node: Neuron) -> tuple[str, Neuron] | None:
        if node.reset not in ("value", "additive") or np.any(node.v_reset):
            return None
        return (
            f"resets to 0 after a spike; {chip.name} subtracts the threshold and keeps the "
            f"remainder{_rest(graph, name, node)}"
        ), replace(node, reset="subtract", reset_amount=None)

    return each_neuron(graph, "reset_to_zero->subtract", change)


def _rest(graph: Graph, name: str, node: Neuron) -> str:
    """Return a note on how much of the threshold one input spike may leave after the reset."""
    weights = [graph[weight] for weight in weights_of(graph, name) or ()]
    largest = max(
        (float(w.weight.max(initial=0)) for w in weights if isinstance(w, Linear)), default=0
    )
    part = 100 * largest / float(node.v_threshold.min())
    return f", up to {part:.3g} % of the threshold after one input spike" if part > 0 else ""


def chip_caps(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Raise the spike cap of neurons to the chip's own cap."""
    limits = chip.limits

    def cap_of(name: str) -> int:
        cap = limits.output_spikes if name in graph.outputs else limits.hidden_spikes
        return int(cap.value)

    return lift_caps(graph, chip, cap_of)


def no_floor(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Remove the floor of membranes."""

    def change(_: str, node: Neuron) -> tuple[str, Neuron] | None:
        if node.v_min is None:
            return None
        return (
            f"limits membranes to at least {float(np.max(node.v_min / node.v_threshold)):.3g} "
            f"times the threshold; {chip.name} has no limit above that of 16 bit"
        ), replace(node, v_min=None)

    return each_neuron(graph, "v_min->none", change)


def start_at_zero(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Start all membranes at 0."""

    def change(_: str, node: Neuron) -> tuple[str, Neuron] | None:
        if not np.any(node.v_init):
            return None
        return (
            f"starts at up to {100 * float(np.max(np.abs(node.v_init / node.v_threshold))):.3g} % "
            f"of its threshold; {chip.name} starts at 0, so the first spikes may differ"
        ), replace(node, v_init=np.zeros(()))

    return each_neuron(graph, "v_init->zero", change)


def fastest_synapse(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Pass instantaneous input through a synapse of dash 1.

    ``i = (i + x) / 2`` hands on all of x in the end: a half, a quarter, an eighth, and so on.
    """

    def change(_: str, node: Neuron) -> tuple[str, Neuron] | None:
        if node.synapses:
            return None
        return (
            f"input is instantaneous; {chip.name} passes it through a synapse: 50 % in the same "
            "timestep, 25 % in the next, and so on, 1 timestep later on average, 100 % in the end"
        ), replace(node, alpha_syn=np.array([0.5]), syn_order="add_decay")

    return each_neuron(graph, "no_synapse->fastest_synapse", change)


def slowest_leak(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Replace decays much slower than the chip's, or none at all, by its largest dash."""
    top = 2 ** int(chip.limits.dash_width.value) - 1

    def change(_: str, node: Membrane) -> tuple[list[str], Membrane]:
        def slowest(alpha: Array) -> Array:
            return np.where(too_slow(alpha, top), 1 - 2.0**-top, alpha)

        syn = None if node.alpha_syn is None else slowest(node.alpha_syn)
        after = replace(node, alpha_mem=slowest(node.alpha_mem), alpha_syn=syn)
        effect = f"; in integers {chip.name} also reduces every state that is not 0 by at least 1"
        note = f", dash {top}{effect} a timestep"
        return [text + note for text in _decays_changed(node, after, graph.dt)], after

    return each_layer(Membrane, graph, "no_leak->slowest_leak", change)


def fastest_leak(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Replace decays much faster than dash 1: membranes keep nothing, currents get dash 1."""
    del chip

    def change(_: str, node: Membrane) -> tuple[list[str], Membrane]:
        mem = np.where(too_fast(node.alpha_mem, membrane=True), 0.0, node.alpha_mem)
        syn = node.alpha_syn
        if syn is not None:
            syn = np.where(too_fast(syn, membrane=False), FASTEST, syn)
        after = replace(node, alpha_mem=mem, alpha_syn=syn)
        return [*_decays_changed(node, after, graph.dt)], after

    return each_layer(Membrane, graph, "fast_leak->fastest_leak", change)


def _decays_changed(before: Membrane, after: Membrane, dt: float | None) -> Iterator[str]:
    """Yield a text for the membranes and one for the currents, where a decay changed."""
    step, unit = (1.0, "steps") if dt is None else (dt, "s")

    def text(alpha: float) -> str:
        return "infinite" if alpha == 1 else f"{float(time_constant(alpha, step)):.3g} {unit}"

    for field in ("mem", "syn"):
        old, new = (getattr(node, f"alpha_{field}") for node in (before, after))
        if old is None or np.array_equal(old, new):
            continue
        axes = (*before.shape, 1 if field == "mem" else before.synapses)
        old, new = (
            np.broadcast_to(a[..., None] if field == "mem" else a, axes) for a in (old, new)
        )
        changed = old != new
        was, now = old[changed].max(), new[changed].max()
        many = int(changed.any(axis=-1).sum())
        where = (
            ""
            if many == prod(before.shape)
            else f" in {many} of {plural(prod(before.shape), 'neuron')}"
        )
        yield f"tau_{field} {text(was)} becomes {text(now)}{where}"


def settle_biases(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Move biases of weights to the neurons, as large as their current is in steady state."""
    if chip.limits.bias_width is None:
        return graph, ()
    after = carry_bias(graph, settle=True)
    return after, tuple(_settled(graph, after, chip))


def _settled(before: Graph, after: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Yield a warning for each bias that was moved."""
    for name, node in before.of(Membrane).items():
        for weight in weights_of(before, name) or ():
            old, new = before[weight], after[weight]
            assert isinstance(old, Linear)
            assert isinstance(new, Linear)
            if old.bias is None or new.bias is not None:
                continue
            current = np.abs(node.gain * settled(node, old.bias))
            part = f"{current.max():.3g}"
            if isinstance(node, Neuron):
                part = f"{100 * (current / node.v_threshold).max():.3g} % of the threshold"
            steps = _steps_to_settle(node)
            yield warning(
                "linear_bias->neuron_bias",
                weight,
                f"its bias acts directly on the membranes of {name!r}, the only biases of "
                f"{chip.name}, by up to {part} per step; through the "
                f"synapse it took {plural(steps, 'timestep')} to reach 99 % of that",
            )


def _steps_to_settle(node: Membrane) -> int:
    """Return the timesteps until the slowest synapse carries 99 % of a constant current."""
    slowest = 0.0 if node.alpha_syn is None else float(node.alpha_syn.max())
    return 1 if slowest <= 0.01 else int(np.ceil(np.log(0.01) / np.log(slowest)))


def keep_hops(graph: Graph, chip: XyloChip) -> RewriteResult:
    """Replace every delay by the number of hops on the chip.

    A layer is placed as early as its shortest path from the input allows, and all other paths get
    the delay that they have beside that one on the chip: one timestep for each neuron layer.

    Ensures: the rule ``path_lengths`` passes; a graph that passed it before is unchanged.
    """
    if not topology_is_sound(graph, chip):
        return graph, ()
    lags = _earliest(graph)
    edges = [
        e
        if isinstance(graph[e.post], Output)
        else replace(e, delay=lags[e.pre] + _hop(graph, e) - lags[e.post])
        for e in graph.edges
    ]
    after = Graph(graph.nodes, edges, dt=graph.dt, provenance=graph.provenance)
    return after, tuple(_shifted(graph, after, chip))


def _earliest(graph: Graph) -> dict[str, int]:
    """Return the timesteps by which each node is later on the chip than in the graph.

    First according to the delays, then reduced until no edge needs a negative delay.
    """
    edges = [e for e in graph.edges if not isinstance(graph[e.post], Output)]
    lags = {graph.input: 0}
    while late := [e for e in edges if e.pre in lags and e.post not in lags]:
        first = next(name for name in graph.nodes if name in {e.post for e in late})
        lags[first] = min(lags[e.pre] + _hop(graph, e) - e.delay for e in late if e.post == first)
    while late := [e for e in edges if lags[e.post] > lags[e.pre] + _hop(graph, e)]:
        lags |= {e.post: lags[e.pre] + _hop(graph, e) for e in late}
    return lags


def _hop(graph: Graph, edge: Edge) -> int:
    return int(isinstance(graph[edge.pre], Neuron))


def _shifted(before: Graph, after: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    delays = {(p.name, p.pre, p.post): p.delay for p in read_layers(after).projections}
    for p in read_layers(before).projections:
        late = delays[p.name, p.pre, p.post] - p.delay
        if late:
            yield warning(
                "delays->hops",
                p.post,
                f"receives {p.pre!r} through {p.name!r} {plural(abs(late), 'timestep')} "
                f"{'later' if late > 0 else 'earlier'} than in the network, since each hop on "
                f"{chip.name} takes one timestep",
            )


APPROXIMATIONS: dict[str, Approximation[XyloChip]] = {
    **EVERYWHERE,
    "reset_to_zero->subtract": subtract,
    "spike_cap->chip_cap": chip_caps,
    "v_min->none": no_floor,
    "v_init->zero": start_at_zero,
    "no_synapse->fastest_synapse": fastest_synapse,
    "no_leak->slowest_leak": slowest_leak,
    "fast_leak->fastest_leak": fastest_leak,
    "linear_bias->neuron_bias": settle_biases,
    "delays->hops": keep_hops,
}

approximate = partial(apply_approximations, "Xylo", APPROXIMATIONS)
"""Rewrite a graph by the names of approximations; see ``allow.apply_approximations``."""

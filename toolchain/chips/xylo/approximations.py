"""What Xylo cannot do and does nearly: rewrites that a user accepts by name (``allow``).

Each is named for what becomes what. It gives the graph that the chip really computes, so that
everything after it, the reference of the integers included, says what will happen, and a warning
for each layer it changed, under its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.allow import (
    Changed,
    accepted_names,
    fire_at_threshold,
    lift_caps,
    reset_at_once,
    warning,
)
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.rules.topology import topology_is_sound
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Edge, Graph, Linear, Membrane, Neuron, Output, time_constant
from toolchain.passes.carry_bias import carry_bias, settled
from toolchain.passes.dashes import dashes
from toolchain.passes.weights import weights_of

__all__ = ["APPROXIMATIONS", "approximate"]


def approximate(graph: Graph, chip: XyloChip, allow: Collection[str]) -> Changed:
    """``graph`` with the approximations named in ``allow``, and what each changed.

    Raises:
        ValueError: a name that is none; lists those there are.
    """
    findings: tuple[Diagnostic, ...] = ()
    for name in accepted_names("Xylo", APPROXIMATIONS, allow):
        graph, told = APPROXIMATIONS[name](graph, chip)
        findings += told
    return graph, findings


def subtract(graph: Graph, chip: XyloChip) -> Changed:
    """Neurons that return to 0 after a spike keep what was above their threshold."""
    found = {name: node for name, node in graph.of(Neuron).items() if _to_zero(node)}
    told = (
        warning(
            "reset_to_zero->subtract",
            name,
            f"returns to 0 after a spike, on {chip.name} it loses its threshold and keeps the "
            f"rest{_rest(graph, name, node)}",
        )
        for name, node in found.items()
    )
    changes = {
        name: replace(node, reset="subtract", reset_amount=None) for name, node in found.items()
    }
    return graph.replace(changes), tuple(told)


def _to_zero(node: Neuron) -> bool:
    return node.reset in ("value", "additive") and not np.any(node.v_reset)


def _rest(graph: Graph, name: str, node: Neuron) -> str:
    """How much one input spike may leave, from a membrane that was just below its threshold."""
    weights = [graph[weight] for weight in weights_of(graph, name) or ()]
    largest = max(
        (float(w.weight.max(initial=0)) for w in weights if isinstance(w, Linear)), default=0
    )
    part = 100 * largest / float(node.v_threshold.min())
    return f", up to {part:.3g} % of it after one input spike" if part > 0 else ""


def chip_caps(graph: Graph, chip: XyloChip) -> Changed:
    """Neurons that spike at most so often spike up to the chip's own cap."""
    limits = chip.limits
    caps = {
        name: int((limits.output_spikes if name in graph.outputs else limits.hidden_spikes).value)
        for name in graph.of(Neuron)
    }
    return lift_caps(graph, caps, chip.name)


def no_floor(graph: Graph, chip: XyloChip) -> Changed:
    """Membranes with a floor have none."""
    found = {name: node for name, node in graph.of(Neuron).items() if node.v_min is not None}
    told = (
        warning(
            "v_min->none",
            name,
            f"keeps its membranes at {_highest_floor(node):.3g} times the threshold or above, on "
            f"{chip.name} they fall as far as 16 bit let them",
        )
        for name, node in found.items()
    )
    changes = {name: replace(node, v_min=None) for name, node in found.items()}
    return graph.replace(changes), tuple(told)


def _highest_floor(node: Neuron) -> float:
    assert node.v_min is not None
    return float(np.max(node.v_min / node.v_threshold))


def start_at_zero(graph: Graph, chip: XyloChip) -> Changed:
    """Membranes that start elsewhere start at 0."""
    found = {name: node for name, node in graph.of(Neuron).items() if np.any(node.v_init)}
    told = (
        warning(
            "v_init->zero",
            name,
            f"starts at up to {100 * float(np.max(np.abs(node.v_init / node.v_threshold))):.3g} % "
            f"of its threshold, on {chip.name} at 0; the first spikes may differ",
        )
        for name, node in found.items()
    )
    changes = {name: replace(node, v_init=np.zeros(())) for name, node in found.items()}
    return graph.replace(changes), tuple(told)


def fastest_synapse(graph: Graph, chip: XyloChip) -> Changed:
    """Input that acts on the membrane at once goes through a synapse of dash 1.

    ``i = (i + x) / 2`` hands on all of x in the end: a half, a quarter, an eighth, and so on.
    """
    found = {name: node for name, node in graph.of(Neuron).items() if not node.synapses}
    text = (
        f"hears its input at once, on {chip.name} through a synapse: half of it in the same "
        "timestep, a quarter in the next, and so on, 1 timestep later on average and in the end "
        "all of it"
    )
    told = (warning("no_synapse->fastest_synapse", name, text) for name in found)
    changes = {
        name: replace(node, alpha_syn=np.array([0.5]), syn_order="add_decay")
        for name, node in found.items()
    }
    return graph.replace(changes), tuple(told)


def slowest_leak(graph: Graph, chip: XyloChip) -> Changed:
    """States that decay more slowly than the chip's, or not at all, decay with its last dash."""
    top = 2 ** int(chip.limits.dash_width.value) - 1
    told: list[Diagnostic] = []
    for name, node in graph.of(Neuron).items():
        new_mem = _slowest(node.alpha_mem, top)
        new_syn = None if node.alpha_syn is None else _slowest(node.alpha_syn, top)
        pairs = (("mem", node.alpha_mem, new_mem), ("syn", node.alpha_syn, new_syn))
        for field, old, new in pairs:
            if old is None or new is None or np.array_equal(old, new):
                continue
            step, unit = (1.0, "steps") if graph.dt is None else (graph.dt, "s")
            was, now = float(time_constant(old, step).max()), float(time_constant(new, step).max())
            told.append(
                warning(
                    "no_leak->slowest_leak",
                    name,
                    f"tau_{field} {'infinite' if np.isinf(was) else f'{was:.3g} {unit}'} becomes "
                    f"{now:.3g} {unit}, dash {top}; in integers {chip.name} also takes at least 1 "
                    "off every state that is not 0, each timestep",
                )
            )
        graph = graph.replace({name: replace(node, alpha_mem=new_mem, alpha_syn=new_syn)})
    return graph, tuple(told)


def _slowest(alpha: Array, top: int) -> Array:
    return np.where(dashes(alpha) > top + 0.5, 1 - 2.0**-top, alpha)


def settle_biases(graph: Graph, chip: XyloChip) -> Changed:
    """Biases of weights become biases of neurons, of the size that their current settles at."""
    if chip.limits.bias_width is None:
        return graph, ()
    after = carry_bias(graph, settle=True)
    return after, tuple(_settled(graph, after, chip))


def _settled(before: Graph, after: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    for name, node in before.of(Neuron).items():
        for weight in weights_of(before, name) or ():
            old, new = before[weight], after[weight]
            assert isinstance(old, Linear)
            assert isinstance(new, Linear)
            if old.bias is None or new.bias is not None:
                continue
            part = np.abs(node.gain * settled(node, old.bias) / node.v_threshold).max()
            steps = _steps_to_settle(node)
            yield warning(
                "linear_bias->neuron_bias",
                weight,
                f"its bias acts at once on the membranes of {name!r}, {chip.name} has no other, "
                f"by up to {100 * part:.3g} % of the threshold a step; through the synapse it "
                f"took {steps} {_steps(steps)} to come to 99 % of that",
            )


def _steps_to_settle(node: Membrane) -> int:
    """Timesteps until the slowest synapse carries 99 % of a constant current."""
    slowest = 0.0 if node.alpha_syn is None else float(node.alpha_syn.max())
    return 1 if slowest <= 0.01 else int(np.ceil(np.log(0.01) / np.log(slowest)))


def keep_hops(graph: Graph, chip: XyloChip) -> Changed:
    """Every delay becomes what the hops on its way take.

    A layer is put as early as its quickest way from the input lets it be, and all other ways get
    the delay that they have beside that one on the chip: one timestep for each neuron layer.

    Ensures: the rule ``path_lengths`` is content; a graph with which it was so is unchanged.
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
    """Timesteps by which each node is later on the chip than in the graph.

    First as the delays ask, then small enough for no edge to need a negative delay.
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
                f"gets {p.pre!r} through {p.name!r} {abs(late)} {_steps(abs(late))} "
                f"{'later' if late > 0 else 'earlier'} than in the network, since each hop on "
                f"{chip.name} takes one",
            )


def _steps(number: int) -> str:
    return "timestep" if number == 1 else "timesteps"


APPROXIMATIONS: dict[str, Callable[[Graph, XyloChip], Changed]] = {
    "gt->ge": lambda graph, chip: fire_at_threshold(graph, chip.name),
    "delayed_reset->same_step": lambda graph, chip: reset_at_once(graph, chip.name),
    "reset_to_zero->subtract": subtract,
    "spike_cap->chip_cap": chip_caps,
    "v_min->none": no_floor,
    "v_init->zero": start_at_zero,
    "no_synapse->fastest_synapse": fastest_synapse,
    "no_leak->slowest_leak": slowest_leak,
    "linear_bias->neuron_bias": settle_biases,
    "delays->hops": keep_hops,
}

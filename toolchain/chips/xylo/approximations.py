"""What Xylo cannot do and does nearly: rewrites that a user accepts by name (``allow``).

Each is named for what becomes what. It gives the graph that the chip really computes, so that
everything after it, the reference of the integers included, says what will happen, and a warning
for each layer it changed, under its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.rules.topology import topology_is_sound
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.hardware import XyloChip
from toolchain.ir import Array, Edge, Graph, Linear, Membrane, Neuron, Output, time_constant
from toolchain.passes.carry_bias import carry_bias, settled
from toolchain.passes.dashes import dashes
from toolchain.passes.weights import weights_of

__all__ = ["APPROXIMATIONS", "approximate"]

Changed: TypeAlias = tuple[Graph, tuple[Diagnostic, ...]]


def approximate(graph: Graph, chip: XyloChip, allow: Collection[str]) -> Changed:
    """``graph`` with the approximations named in ``allow``, and what each changed.

    Raises:
        ValueError: a name that is none; lists those there are.
    """
    if wrong := sorted(set(allow) - set(APPROXIMATIONS)):
        raise ValueError(
            f"no approximation {', '.join(wrong)} on Xylo; there are {', '.join(APPROXIMATIONS)}"
        )
    findings: tuple[Diagnostic, ...] = ()
    for name, rewrite in APPROXIMATIONS.items():
        if name in allow:
            graph, told = rewrite(graph, chip)
            findings += told
    return graph, findings


def fire_at_threshold(graph: Graph, chip: XyloChip) -> Changed:
    """Neurons that fire only above their threshold fire at it."""
    above = {name: node for name, node in graph.of(Neuron).items() if node.compare == "gt"}
    told = (
        _warning(
            "gt->ge",
            name,
            f"fires above its threshold and on {chip.name} at it; this adds a spike where a "
            "membrane equals its threshold exactly",
        )
        for name in above
    )
    changes = {name: replace(node, compare="ge") for name, node in above.items()}
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
                _warning(
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
            yield _warning(
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
            yield _warning(
                "delays->hops",
                p.post,
                f"gets {p.pre!r} through {p.name!r} {abs(late)} {_steps(abs(late))} "
                f"{'later' if late > 0 else 'earlier'} than in the network, since each hop on "
                f"{chip.name} takes one",
            )


def _steps(number: int) -> str:
    return "timestep" if number == 1 else "timesteps"


def _warning(rule: str, where: str, message: str) -> Diagnostic:
    return Diagnostic(rule=rule, severity=Severity.WARNING, where=where, message=message)


APPROXIMATIONS: dict[str, Callable[[Graph, XyloChip], Changed]] = {
    "gt->ge": fire_at_threshold,
    "no_leak->slowest_leak": slowest_leak,
    "linear_bias->neuron_bias": settle_biases,
    "delays->hops": keep_hops,
}

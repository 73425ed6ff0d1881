"""Rules on the paths of spikes in a Xylo program: aliases, and neurons that nothing reaches.

An alias passes all spikes of a neuron to another one within the step, in which neurons are
processed in the order of their ids. Forward, the target counts them towards its own limit and
passes them on. Backward, the target was processed already: it passes them to its connections in the
next step, and that is all. In a loop, spikes come back to the neuron that fired them and count
again.

Source: xylosim 0.1.3 as observed (both cores). The behaviour of the silicon in loops is not
published.
"""

from __future__ import annotations

from typing import TypeAlias

import networkx as nx
import numpy as np
import numpy.typing as npt

from toolchain.chips.rules.findings import Findings, Rule, info, some, warning
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.spec import XyloChip

__all__ = ["ALIASES", "UNREACHED", "Mask", "loops_of", "never_fires", "never_read"]

OBSERVED = "xylosim 0.1.3 as observed"
Mask: TypeAlias = npt.NDArray[np.bool_]
"""True for the selected neurons or connections."""


def alias_loops(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that no spikes come back through aliases to the neuron that fired them."""
    loops = loops_of(program)
    for p in program.populations:
        own = [way for way in loops if p.role == "hidden" and p.start <= way[0] < p.stop]
        if own:
            names = [_name(program, n) for n in (*own[0], own[0][0])]
            shown = names if len(names) <= 5 else [*names[:3], "...", names[-1]]
            first = f"{len(own)} loops of aliases, the first" if len(own) > 1 else "loop of aliases"
            yield warning(
                "alias_loops",
                p.name,
                f"{first} {' -> '.join(shown)}: within one step spikes return to the neuron that "
                f"fired them and are counted again; no publication states that {chip.name} does "
                "the same",
                source=OBSERVED,
            )


def alias_order(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that each alias leads to a higher neuron id; loops have a rule of their own."""
    loops = _loops(_alias_graph(program))
    for p in program.populations:
        if p.role == "output":
            continue
        back = [
            (pre, post)
            for pre in range(p.start, p.stop)
            for post in program.aliases[pre]
            if post < pre and not any({pre, post} <= loop for loop in loops)
        ]
        if back:
            pre, post = (_name(program, n) for n in back[0])
            many = f"{len(back)} aliases, the first" if len(back) > 1 else "the alias"
            lead = "lead" if len(back) > 1 else "leads"
            yield warning(
                "alias_order",
                p.name,
                f"{many} {pre} -> {post}, {lead} to a lower neuron id, which was processed "
                "earlier in the step: it delivers these spikes, but they do not count towards "
                f"its limit of {program.max_hidden_spikes} and are not passed to its own alias",
                source=OBSERVED,
            )


def silent_neurons(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that every neuron can fire: it has a positive input or bias.

    An output that never fires is a class that is never predicted, and a warning.
    """
    del chip
    hidden, outputs = never_fires(program)
    for p in program.populations:
        silent = outputs if p.role == "output" else hidden
        many = int(silent[p.start : p.stop].sum())
        if many:
            report = warning if p.role == "output" else info
            yield report(
                "silent_neurons",
                p.name,
                f"{some(many, p.stop - p.start, 'neuron')} can never fire: no positive weight on "
                "a path from the input, no positive bias",
                many,
                limit=0,
            )


def unread_neurons(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that every hidden neuron has a path to an output."""
    del chip
    unread = never_read(program)
    for p in program.populations:
        many = int(unread[p.start : p.stop].sum()) if p.role == "hidden" else 0
        if many:
            yield info(
                "unread_neurons",
                p.name,
                f"{some(many, p.stop - p.start, 'neuron')} cannot reach an output: no path of "
                "weights and aliases leads there",
                many,
                limit=0,
            )


def unread_channels(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that every input channel reaches a neuron."""
    del chip
    many = int((~program.weights_in.any(axis=(1, 2))).sum())
    if many:
        yield info(
            "unread_channels",
            program.input_name,
            f"{some(many, program.inputs, 'channel')} without any weight: their spikes have no "
            "effect",
            many,
            limit=0,
        )


def loops_of(program: XyloProgram) -> list[list[int]]:
    """Return one cycle for each group of neurons connected by aliases, lowest id first."""
    graph = _alias_graph(program)
    return [
        [int(edge[0]) for edge in nx.find_cycle(graph.subgraph(loop), min(loop))]
        for loop in sorted(_loops(graph), key=min)
    ]


def never_fires(program: XyloProgram) -> tuple[Mask, Mask]:
    """Return masks of the hidden and output neurons whose membrane cannot reach its threshold.

    Sufficient, not necessary: neurons that are not listed may never fire either.
    """
    into = _pushes(program.weights_in, program.weight_shift_in)
    between = _pushes(program.weights_rec, program.weight_shift_rec)
    out = _pushes(program.weights_out[..., None], program.weight_shift_out)
    start = into.any(axis=0) | (program.bias > 0) | (program.threshold < 1)
    fires = _reachable(start, between | _aliases(program))
    outputs = out[fires].any(axis=0) | (program.bias_out > 0) | (program.threshold_out < 1)
    return ~fires, ~outputs


def never_read(program: XyloProgram) -> Mask:
    """Return a mask of the hidden neurons without a path to an output."""
    joined = program.weights_rec.any(axis=2) | _aliases(program)
    reading = np.asarray(program.weights_out.any(axis=1))
    return ~_reachable(reading, joined.T)


def _pushes(weights: npt.NDArray[np.int8], shift: int) -> Mask:
    """Return whether the shifted weight is positive in its 16-bit word."""
    shifted = np.left_shift(weights.astype(np.int16), np.int16(shift))
    return np.asarray((shifted > 0).any(axis=-1))


def _aliases(program: XyloProgram) -> Mask:
    """Return the aliases as a mask ``(hidden, hidden)``, source by target."""
    joined = np.zeros((program.hidden, program.hidden), bool)
    for source, targets in enumerate(program.aliases):
        if targets:
            joined[source, list(targets)] = True
    return joined


def _reachable(start: Mask, joined: Mask) -> Mask:
    """Return ``start`` and all neurons that can be reached from it."""
    reached, new = start.copy(), start
    while new.any():
        new = joined[new].any(axis=0) & ~reached
        reached |= new
    return reached


def _alias_graph(program: XyloProgram) -> nx.DiGraph[int]:
    pairs = ((pre, post) for pre, targets in enumerate(program.aliases) for post in targets)
    return nx.DiGraph(pairs)


def _loops(graph: nx.DiGraph[int]) -> list[set[int]]:
    """Return groups of neurons that reach one another, or themselves, by aliases alone."""
    parts = nx.strongly_connected_components(graph)
    return [part for part in parts if len(part) > 1 or graph.has_edge(min(part), min(part))]


def _layer(program: XyloProgram, hidden_id: int) -> Population:
    hidden = (p for p in program.populations if p.role == "hidden")
    return next(p for p in hidden if p.start <= hidden_id < p.stop)


def _name(program: XyloProgram, hidden_id: int) -> str:
    """Return ``fc1[3]``: the neuron's index within the user's layer."""
    layer = _layer(program, hidden_id)
    return f"{layer.name}[{hidden_id - layer.start}]"


ALIASES: tuple[Rule[XyloProgram, XyloChip], ...] = (alias_loops, alias_order)
UNREACHED: tuple[Rule[XyloProgram, XyloChip], ...] = (
    silent_neurons,
    unread_neurons,
    unread_channels,
)

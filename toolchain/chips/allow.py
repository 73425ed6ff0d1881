"""Approximations that a user accepts by name, ``deploy(..., allow=...)``: one vocabulary.

A name says what becomes what. Which of them a family has, and what it does then, is in the
family's ``approximations``; what several families do alike is here. Each rewrite gives the graph
that the chip really computes, so that everything after it says what will happen, and a warning
with its size for each layer it changed, under its own name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import Graph, Neuron
from toolchain.report import times

__all__ = [
    "NAMES",
    "Changed",
    "accepted_names",
    "accepting",
    "fire_at_threshold",
    "lift_caps",
    "reset_at_once",
    "warning",
]

Changed: TypeAlias = tuple[Graph, tuple[Diagnostic, ...]]
"""A graph after a rewrite, and what it says of it."""

NAMES = {
    "gt->ge": "a neuron fires at its threshold, not only above it",
    "delayed_reset->same_step": "a membrane is reset when it fires, not in the next timestep",
    "reset_to_zero->subtract": "a membrane keeps what was above its threshold",
    "spike_cap->chip_cap": "a neuron may spike as often in a timestep as the chip lets it",
    "v_min->none": "membranes have no floor",
    "v_init->zero": "membranes start at 0",
    "no_synapse->fastest_synapse": "input goes through the fastest synapse that there is",
    "no_leak->slowest_leak": "a state decays with the slowest leak that there is",
    "exponential_leak->linear_leak": "a membrane loses a constant in each timestep, down to 0",
    "linear_bias->neuron_bias": "a bias of weights acts on membranes, past the synapse",
    "delays->hops": "spikes arrive when the hops between layers let them",
}
"""Every name that any family knows, with what it stands for."""


def accepted_names(family: str, known: Collection[str], allow: Collection[str]) -> tuple[str, ...]:
    """The names of ``allow``, in the family's order.

    Args:
        family: its title.
        known: names of its approximations.
        allow: what a user accepts; a single name may stand for itself.

    Raises:
        ValueError: a name that is none, or another family's; lists those there are.
    """
    wanted = {allow} if isinstance(allow, str) else set(allow)
    there = f"there are {', '.join(known)}"
    if wrong := sorted(map(str, wanted - {*NAMES, *known})):
        raise ValueError(f"no approximation {', '.join(wrong)} on {family}; {there}")
    if others := sorted(wanted - set(known)):
        raise ValueError(
            f"{', '.join(others)} is no approximation on {family} but on chips of another family; "
            f"{there}"
        )
    return tuple(name for name in known if name in wanted)


def warning(name: str, where: str, message: str) -> Diagnostic:
    """What the approximation ``name`` did to a layer."""
    return Diagnostic(rule=name, severity=Severity.WARNING, where=where, message=message)


# ---- hints ----


def accepting(
    finding: Diagnostic,
    names: Sequence[str],
    errors: Callable[[tuple[str, ...]], Collection[Diagnostic]],
) -> str:
    """A hint that names the fewest approximations with which ``finding`` is gone, if any do.

    Args:
        finding: an error.
        names: approximations that may help, tried one by one and then together.
        errors: everything that stops the network with these approximations accepted.
    """
    before = errors(())
    for number in range(1, len(names) + 1):
        for chosen in combinations(names, number):
            if _helps(finding, before, errors(chosen)):
                quoted = ", ".join(f'"{name}"' for name in chosen)
                return f"accept an approximation: allow=({quoted}{',' * (number == 1)})"
    return ""


def _helps(
    finding: Diagnostic, before: Collection[Diagnostic], after: Collection[Diagnostic]
) -> bool:
    """Whether ``finding`` is gone and no rule finds more anywhere; wordings may change."""
    were, are = (Counter((f.rule, f.where) for f in found) for found in (before, after))
    place = (finding.rule, finding.where)
    return (
        are <= were
        and are[place] < were[place]
        and finding.message not in {f.message for f in after if (f.rule, f.where) == place}
    )


# ---- what several families do alike ----


def fire_at_threshold(graph: Graph, chip: str) -> Changed:
    """Neurons that fire only above their threshold fire at it."""
    found = {name: node for name, node in graph.of(Neuron).items() if node.compare == "gt"}
    text = (
        f"fires above its threshold and on {chip} at it; this adds a spike where a membrane "
        "equals its threshold exactly"
    )
    told = (warning("gt->ge", name, text) for name in found)
    return _changed(graph, found, compare="ge"), tuple(told)


def reset_at_once(graph: Graph, chip: str) -> Changed:
    """Neurons that are reset in the next timestep are reset when they fire."""
    found = {
        name: node
        for name, node in graph.of(Neuron).items()
        if node.reset_when != "same" and node.reset in ("subtract", "value")
    }
    told = (
        warning(
            "delayed_reset->same_step",
            name,
            f"is reset in the timestep after a spike and on {chip} at once: {_lateness(node)}",
        )
        for name, node in found.items()
    )
    return _changed(graph, found, reset_when="same"), tuple(told)


def _lateness(node: Neuron) -> str:
    """What a late reset differs by."""
    if node.reset_when == "next_corrected":
        return "this differs where a membrane is above its threshold right after a spike"
    if node.reset == "value":
        return (
            "the input of that timestep counts, which the network erases"
            if node.reset_when == "next_erase_all"
            else "a membrane that is emptied later has been decaying meanwhile"
        )
    amount = node.v_threshold if node.reset_amount is None else node.reset_amount
    part = float(np.max((1 - node.alpha_mem) * amount / node.v_threshold))
    return (
        "what it takes off decays with the membrane by then, which leaves up to "
        f"{100 * part:.3g} % of the threshold more after each spike"
    )


def lift_caps(graph: Graph, caps: Mapping[str, int | None], chip: str) -> Changed:
    """Neurons capped below ``caps``, by layer, spike as often as these; None is no cap."""
    found: dict[str, Neuron] = {}
    told = []
    for name, node in graph.of(Neuron).items():
        most, cap = node.max_spikes, caps[name]
        if most is None or (cap is not None and cap <= most):
            continue
        found[name] = replace(node, max_spikes=cap)
        often = "as often as its membrane has the threshold" if cap is None else times(cap)
        text = f"spikes {times(most)} a timestep at most, on {chip} {often}"
        told.append(warning("spike_cap->chip_cap", name, text))
    return graph.replace(found), tuple(told)


def _changed(graph: Graph, found: Mapping[str, Neuron], **fields: Any) -> Graph:
    return graph.replace({name: replace(node, **fields) for name, node in found.items()})

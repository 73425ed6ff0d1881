"""Approximations that a user accepts by name, ``deploy(..., allow=...)``: one vocabulary.

A name says what becomes what. Which of them a family has, and what it does then, is in the
family's ``approximations``; what several families do alike is here. Each rewrite gives the graph
that the chip really computes, so that everything after it says what will happen, and a warning
with its size for each layer it changed, under its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from toolchain.chips.rules.findings import C, warning
from toolchain.diagnostics import Diagnostic
from toolchain.hardware.chip import SpecBase
from toolchain.ir import Graph, Neuron
from toolchain.report import times

__all__ = [
    "EVERYWHERE",
    "NAMES",
    "Approximation",
    "RewriteResult",
    "accepted_names",
    "apply_approximations",
    "as_argument",
    "each_neuron",
    "lift_caps",
]

RewriteResult: TypeAlias = tuple[Graph, tuple[Diagnostic, ...]]
"""A graph after a rewrite, and what it says of it."""

Approximation: TypeAlias = Callable[[Graph, C], RewriteResult]

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
        ValueError: an unknown name, or another family's (the message lists the valid ones).
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


def as_argument(names: Sequence[str]) -> str:
    """Return ``allow=("a", "b")``, to be copied into a call."""
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"allow=({quoted},)" if len(names) == 1 else f"allow=({quoted})"


def apply_approximations(
    family: str,
    known: Mapping[str, Approximation[C]],
    graph: Graph,
    chip: C,
    allow: Collection[str],
) -> RewriteResult:
    """Return ``graph`` with the approximations of ``allow``, and what each changed.

    Args:
        family: its title.
        known: its approximations by name, in the order in which they are applied.
        graph, chip, allow: as ``Family.approximate`` takes them.

    Raises:
        ValueError: an unknown name, or another family's (the message lists the valid ones).
    """
    findings: tuple[Diagnostic, ...] = ()
    for name in accepted_names(family, known, allow):
        graph, changed = known[name](graph, chip)
        findings += changed
    return graph, findings


def each_neuron(
    graph: Graph, rule: str, change: Callable[[str, Neuron], tuple[str | list[str], Neuron] | None]
) -> RewriteResult:
    """Return ``graph`` with neurons changed one by one, and a warning for each.

    Args:
        graph: what is approximated.
        rule: the name of the approximation.
        change: from a layer to what the change does to it, in words, and the layer after it; None
            where there is nothing to change.
    """
    changed, findings = dict[str, Neuron](), list[Diagnostic]()
    for name, node in graph.of(Neuron).items():
        if (found := change(name, node)) is not None:
            words, changed[name] = found
            messages = [words] if isinstance(words, str) else words
            findings += [warning(rule, name, message) for message in messages]
    return graph.replace(changed), tuple(findings)


# ---- what several families do alike ----


def fire_at_threshold(graph: Graph, chip: SpecBase) -> RewriteResult:
    """Make neurons that fire only above their threshold fire at it."""

    def change(_: str, node: Neuron) -> tuple[str, Neuron] | None:
        if node.compare != "gt":
            return None
        return (
            f"fires above its threshold and on {chip.name} at it; this adds a spike where a "
            "membrane equals its threshold exactly"
        ), replace(node, compare="ge")

    return each_neuron(graph, "gt->ge", change)


def reset_at_once(graph: Graph, chip: SpecBase) -> RewriteResult:
    """Reset neurons when they fire where they are reset in the next timestep."""

    def change(_: str, node: Neuron) -> tuple[str, Neuron] | None:
        if node.reset_when == "same" or node.reset not in ("subtract", "value"):
            return None
        return (
            f"is reset in the timestep after a spike and on {chip.name} at once: {_lateness(node)}"
        ), replace(node, reset_when="same")

    return each_neuron(graph, "delayed_reset->same_step", change)


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


def lift_caps(graph: Graph, chip: SpecBase, cap_of: Callable[[str], int | None]) -> RewriteResult:
    """Let neurons spike up to ``cap_of`` their layer where they are capped below; None: no cap."""

    def change(name: str, node: Neuron) -> tuple[str, Neuron] | None:
        most, cap = node.max_spikes, cap_of(name)
        if most is None or (cap is not None and cap <= most):
            return None
        often = "as often as its membrane has the threshold" if cap is None else times(cap)
        text = f"spikes {times(most)} a timestep at most, on {chip.name} {often}"
        return text, replace(node, max_spikes=cap)

    return each_neuron(graph, "spike_cap->chip_cap", change)


EVERYWHERE: dict[str, Approximation[SpecBase]] = {
    "gt->ge": fire_at_threshold,
    "delayed_reset->same_step": reset_at_once,
}
"""Approximations of every family, which come first."""

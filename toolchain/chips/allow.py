"""Names of the approximations that a user accepts with ``deploy(..., allow=...)``.

A name has the form ``before->after``. The rewrites of one family are in its module
``approximations``, those that several families share are here. Each rewrite returns the graph that
the chip computes, so that simulation, ledger and estimate describe the chip, and one warning for
each changed layer with the size of the change; the warning's rule is the name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

import numpy as np

from toolchain.chips.rules.findings import C, warning
from toolchain.diagnostics import Diagnostic
from toolchain.hardware.chip import SpecBase
from toolchain.ir import Graph, Membrane, Neuron
from toolchain.report import times, visible

__all__ = [
    "EVERYWHERE",
    "NAMES",
    "Approximation",
    "RewriteResult",
    "accepted_names",
    "apply_approximations",
    "as_argument",
    "each_layer",
    "each_neuron",
    "lift_caps",
]

M = TypeVar("M", bound=Membrane)
"""Kind of the layers that an approximation changes."""

RewriteResult: TypeAlias = tuple[Graph, tuple[Diagnostic, ...]]
"""The graph after a rewrite, and its findings."""

Approximation: TypeAlias = Callable[[Graph, C], RewriteResult]

NAMES = {
    "gt->ge": "a neuron spikes at `v_mem >= v_threshold`, not only above",
    "delayed_reset->same_step": "a membrane is reset in the timestep of its spike, not the next",
    "reset_to_zero->subtract": "a spike subtracts the threshold instead of resetting to 0",
    "spike_cap->chip_cap": "a neuron may spike in one timestep as often as the chip allows",
    "v_min->none": "membranes have no lower limit",
    "v_init->zero": "membranes start at 0",
    "no_synapse->fastest_synapse": "input passes through the fastest synapse that the chip has",
    "no_leak->slowest_leak": "a state decays with the slowest leak that the chip has",
    "fast_leak->fastest_leak": "a state decays with the fastest leak that the chip has",
    "exponential_leak->linear_leak": "a membrane loses a constant amount per timestep, down to 0",
    "linear_bias->neuron_bias": "a linear layer's bias is added to the membrane, not the synapse",
    "delays->hops": "spikes arrive with the delay of the hops between layers",
}
"""Every approximation of every family, with its meaning."""


def accepted_names(family: str, known: Collection[str], allow: Collection[str]) -> tuple[str, ...]:
    """Return the names of ``allow`` in the family's order.

    Args:
        family: the family's title, for messages.
        known: names of its approximations.
        allow: the names that the user accepts, or a single name.

    Raises:
        ValueError: no names, or a name that is unknown or of another family; the message lists
            the valid ones.

    >>> accepted_names("Xylo", ("gt->ge", "v_min->none"), ["v_min->none", "gt->ge"])
    ('gt->ge', 'v_min->none')
    """
    available = f"available: {', '.join(known)}"
    if not isinstance(allow, Iterable):
        raise ValueError(f"allow must be names of approximations, got {allow!r}; {available}")
    wanted = {allow} if isinstance(allow, str) else set(allow)
    if wrong := sorted(map(str, wanted - {*NAMES, *known})):
        unknown = visible(", ".join(wrong), one_line=True)
        raise ValueError(f"unknown approximation {unknown} for {family}; {available}")
    if others := sorted(wanted - set(known)):
        raise ValueError(
            f"approximation {', '.join(others)} is not available on {family}, only on another chip "
            f"family; {available}"
        )
    return tuple(name for name in known if name in wanted)


def as_argument(names: Sequence[str]) -> str:
    """Return the names as a keyword argument to copy into a call.

    >>> as_argument(["gt->ge"])
    'allow=("gt->ge",)'
    """
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"allow=({quoted},)" if len(names) == 1 else f"allow=({quoted})"


def apply_approximations(
    family: str,
    known: Mapping[str, Approximation[C]],
    graph: Graph,
    chip: C,
    allow: Collection[str],
) -> RewriteResult:
    """Apply the approximations of ``allow`` to ``graph`` and return their findings.

    Args:
        family: the family's title, for messages.
        known: its approximations by name, in the order in which they are applied.
        graph, chip, allow: see ``Family.approximate``.

    Raises:
        ValueError: a name that is unknown or of another family (the message lists the valid ones).
    """
    findings: tuple[Diagnostic, ...] = ()
    for name in accepted_names(family, known, allow):
        graph, changed = known[name](graph, chip)
        findings += changed
    return graph, findings


def each_neuron(
    graph: Graph, rule: str, change: Callable[[str, Neuron], tuple[str | list[str], Neuron] | None]
) -> RewriteResult:
    """Change the neurons of ``graph`` layer by layer; see ``each_layer``."""
    return each_layer(Neuron, graph, rule, change)


def each_layer(
    kind: type[M],
    graph: Graph,
    rule: str,
    change: Callable[[str, M], tuple[str | list[str], M] | None],
) -> RewriteResult:
    """Change the layers of one kind in ``graph``, with one warning for each message.

    Args:
        kind: of the nodes.
        graph: the graph to approximate.
        rule: name of the approximation.
        change: takes name and node of a layer; returns a message (or several) that describes the
            change and the new node, or None if nothing changes.
    """
    changed, findings = dict[str, Membrane](), list[Diagnostic]()
    for name, node in graph.of(kind).items():
        if (result := change(name, node)) is not None:
            text, changed[name] = result
            messages = [text] if isinstance(text, str) else text
            findings += [warning(rule, name, message) for message in messages]
    return graph.replace(changed), tuple(findings)


# ---- approximations of several families ----


def fire_at_threshold(graph: Graph, chip: SpecBase) -> RewriteResult:
    """Let neurons spike when ``v_mem >= v_threshold`` instead of ``v_mem > v_threshold``."""

    def change(_: str, node: Neuron) -> tuple[str, Neuron] | None:
        if node.compare != "gt":
            return None
        return (
            f"spikes when v_mem > v_threshold, on {chip.name} when v_mem >= v_threshold; this adds "
            "a spike wherever both are equal"
        ), replace(node, compare="ge")

    return each_neuron(graph, "gt->ge", change)


def reset_at_once(graph: Graph, chip: SpecBase) -> RewriteResult:
    """Reset neurons in the timestep of the spike instead of the next one."""

    def change(_: str, node: Neuron) -> tuple[str, Neuron] | None:
        if node.reset_when == "same" or node.reset not in ("subtract", "value"):
            return None
        return (
            f"is reset in the timestep after a spike, on {chip.name} in the same timestep: "
            f"{_late_reset_effect(node)}"
        ), replace(node, reset_when="same")

    return each_neuron(graph, "delayed_reset->same_step", change)


def _late_reset_effect(node: Neuron) -> str:
    """Describe the difference between a reset in the next timestep and one in the same."""
    if node.reset_when == "next_corrected":
        return "results differ where a membrane is above its threshold right after a spike"
    if node.reset == "value":
        return (
            "the chip keeps the input of that timestep, which the network erases"
            if node.reset_when == "next_erase_all"
            else "in the network the membrane decays for one more timestep before its reset"
        )
    amount = node.v_threshold if node.reset_amount is None else node.reset_amount
    part = float(np.max((1 - node.alpha_mem) * amount / node.v_threshold))
    return (
        "the amount subtracted decays with the membrane, so up to "
        f"{100 * part:.3g} % of the threshold more is left after each spike"
    )


def lift_caps(graph: Graph, chip: SpecBase, cap_of: Callable[[str], int | None]) -> RewriteResult:
    """Raise ``max_spikes`` of each layer to ``cap_of(layer)``; None means no cap."""

    def change(name: str, node: Neuron) -> tuple[str, Neuron] | None:
        most, cap = node.max_spikes, cap_of(name)
        if most is None or (cap is not None and cap <= most):
            return None
        limit = "once per multiple of its threshold" if cap is None else f"up to {times(cap)}"
        text = f"spikes at most {times(most)} per timestep, on {chip.name} {limit}"
        return text, replace(node, max_spikes=cap)

    return each_neuron(graph, "spike_cap->chip_cap", change)


EVERYWHERE: dict[str, Approximation[SpecBase]] = {
    "gt->ge": fire_at_threshold,
    "delayed_reset->same_step": reset_at_once,
}
"""Approximations of every family; they are applied first."""

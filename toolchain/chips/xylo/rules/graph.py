"""What Xylo cannot do of what a network asks for: every rule on the real-valued graph.

``TOPOLOGY`` asks how layers are joined, ``NEURONS`` what the neurons compute, ``TIMING`` when
spikes arrive. Each rule is a small function that yields findings. Sizes and integer ranges are
asked in ``program``. A hint is given only where it was tried: another chip's rule has nothing to
say of that layer, or all rules, run again with approximations accepted, no longer say this and
nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from toolchain.chips.allow import accepting
from toolchain.chips.load import list_chips, load_chip
from toolchain.chips.xylo.approximations import approximate
from toolchain.chips.xylo.rules.neurons import NEURONS
from toolchain.chips.xylo.rules.timing import TIMING
from toolchain.chips.xylo.rules.topology import TOPOLOGY, topology_is_sound
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import Graph

__all__ = ["NEURONS", "TIMING", "TOPOLOGY", "check_graph", "topology_is_sound"]

GraphRule: TypeAlias = Callable[[Graph, XyloChip], Iterator[Diagnostic]]

REMEDIES = {
    "reset": ("reset_to_zero->subtract", "delayed_reset->same_step"),
    "comparison": ("gt->ge",),
    "potentials": ("v_min->none", "v_init->zero"),
    "synapse": ("no_synapse->fastest_synapse",),
    "time_constants": ("no_leak->slowest_leak",),
    "linear_bias": ("linear_bias->neuron_bias",),
    "spike_caps": ("spike_cap->chip_cap",),
    "path_lengths": ("delays->hops",),
}
"""The approximations that may help against the findings of a rule."""


def check_graph(graph: Graph, chip: XyloChip) -> tuple[Diagnostic, ...]:
    """Every finding about what the network is made of, in rule order."""
    tried: dict[tuple[str, ...], tuple[Diagnostic, ...]] = {}

    def accepting_all(names: tuple[str, ...]) -> tuple[Diagnostic, ...]:
        if names not in tried:
            tried[names] = _errors(approximate(graph, chip, names)[0], chip)
        return tried[names]

    return tuple(
        found
        for rule in _rules(graph, chip)
        for found in _advised(rule, graph, chip, accepting_all)
    )


def _rules(graph: Graph, chip: XyloChip) -> tuple[GraphRule, ...]:
    rules: tuple[GraphRule, ...] = (*TOPOLOGY, *NEURONS)
    return (*rules, *TIMING) if topology_is_sound(graph, chip) else rules


def _errors(graph: Graph, chip: XyloChip) -> tuple[Diagnostic, ...]:
    found = (finding for rule in _rules(graph, chip) for finding in rule(graph, chip))
    return tuple(filter(_is_error, found))


def _advised(
    rule: GraphRule,
    graph: Graph,
    chip: XyloChip,
    accepting_all: Callable[[tuple[str, ...]], tuple[Diagnostic, ...]],
) -> Iterator[Diagnostic]:
    """The findings of ``rule``, errors with a hint where something was tried and helps."""
    found = tuple(rule(graph, chip))
    if not any(map(_is_error, found)):
        yield from found
        return
    elsewhere = {other.name: tuple(rule(graph, other)) for other in _siblings(chip)}
    for finding in found:
        if not _is_error(finding):
            yield finding
            continue
        names = [name for name, there in elsewhere.items() if not _stays(finding, there)]
        hints = [f"{' or '.join(names)} can do this"] * bool(names)
        hints += [accepting(finding, REMEDIES.get(rule.__name__, ()), accepting_all)]
        yield replace(finding, hint="; or ".join(filter(None, hints)))


def _siblings(chip: XyloChip) -> list[XyloChip]:
    """The other chips of the family; nobody is sent to core v1, which has no bias."""
    others = [load_chip(name) for name in list_chips() if name != chip.name]
    return [c for c in others if isinstance(c, XyloChip) and c.integer_core != "v1"]


def _stays(finding: Diagnostic, found: tuple[Diagnostic, ...]) -> bool:
    return any(_is_error(other) and other.where == finding.where for other in found)


def _is_error(finding: Diagnostic) -> bool:
    return finding.severity is Severity.ERROR

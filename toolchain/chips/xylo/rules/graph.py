"""What Xylo cannot do of what a network asks for: every rule on the real-valued graph.

``TOPOLOGY`` asks how layers are joined, ``NEURONS`` what the neurons compute, ``TIMING`` when
spikes arrive. Each rule is a small function that yields findings. Sizes and integer ranges are
asked in ``program``. A hint is given only where the finding's rule, run again with
the hint applied, had no more to say of that layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from toolchain.chips.xylo.approximations import approximate
from toolchain.chips.xylo.rules.neurons import NEURONS
from toolchain.chips.xylo.rules.timing import TIMING
from toolchain.chips.xylo.rules.topology import TOPOLOGY, topology_is_sound
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.hardware import XyloChip, list_chips, load_chip
from toolchain.ir import Graph

__all__ = ["NEURONS", "TIMING", "TOPOLOGY", "check_graph", "topology_is_sound"]

GraphRule: TypeAlias = Callable[[Graph, XyloChip], Iterator[Diagnostic]]

REMEDIES = {
    "comparison": "gt->ge",
    "time_constants": "no_leak->slowest_leak",
    "linear_bias": "linear_bias->neuron_bias",
    "path_lengths": "delays->hops",
}
"""The approximation that may help against the findings of a rule."""


def check_graph(graph: Graph, chip: XyloChip) -> tuple[Diagnostic, ...]:
    """Every finding about what the network is made of, in rule order."""
    rules: tuple[GraphRule, ...] = (*TOPOLOGY, *NEURONS)
    if topology_is_sound(graph, chip):
        rules += TIMING
    return tuple(found for rule in rules for found in _advised(rule, graph, chip))


def _advised(rule: GraphRule, graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """The findings of ``rule``, errors with a hint where something was tried and helps."""
    found = tuple(rule(graph, chip))
    if not any(map(_is_error, found)):
        yield from found
        return
    remedy = REMEDIES.get(rule.__name__)
    allowed = approximate(graph, chip, (remedy,) if remedy else ())[0]
    accepted = found if remedy is None else tuple(rule(allowed, chip))
    elsewhere = {other.name: tuple(rule(graph, other)) for other in _siblings(chip)}
    for finding in found:
        names = [name for name, there in elsewhere.items() if not _stays(finding, there)]
        hints = [f"{' or '.join(names)} can do this"] * bool(names)
        if not _stays(finding, accepted):
            hints.append(f'accept an approximation: allow=("{remedy}",)')
        yield replace(finding, hint="; or ".join(hints)) if _is_error(finding) else finding


def _siblings(chip: XyloChip) -> list[XyloChip]:
    """The other chips of the family; nobody is sent to core v1, which has no bias."""
    others = [load_chip(name) for name in list_chips() if name != chip.name]
    return [c for c in others if isinstance(c, XyloChip) and c.integer_core != "v1"]


def _stays(finding: Diagnostic, found: tuple[Diagnostic, ...]) -> bool:
    return any(_is_error(other) and other.where == finding.where for other in found)


def _is_error(finding: Diagnostic) -> bool:
    return finding.severity is Severity.ERROR

"""Rules on float graphs that chip families share, and what such rules are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import TypeAlias, TypeVar

import numpy as np

from toolchain.chips.rules.findings import C, Rule, error, is_error
from toolchain.diagnostics import Diagnostic
from toolchain.hardware.chip import SpecBase
from toolchain.ir import Graph, Neuron, Node

__all__ = ["capped", "comparison", "each", "only_if", "reset_of", "sound", "unusual"]

N = TypeVar("N", bound=Node)

Question: TypeAlias = Callable[[N, C], Iterator[str]]
"""Yields what is wrong with one node, in words."""


def each(kind: type[N]) -> Callable[[Question[N, C]], Rule[Graph, C]]:
    """Make a rule on graphs, with errors of its name, of a question to each node of ``kind``."""

    def decorate(question: Question[N, C]) -> Rule[Graph, C]:
        @wraps(question)
        def rule(graph: Graph, chip: C) -> Iterator[Diagnostic]:
            for name, node in graph.of(kind).items():
                for message in question(node, chip):
                    yield error(question.__name__, name, message)

        return rule

    return decorate


def sound(graph: Graph, chip: C, rules: Iterable[Rule[Graph, C]]) -> bool:
    """Return whether none of ``rules`` finds an error."""
    return not any(is_error(found) for rule in rules for found in rule(graph, chip))


def only_if(condition: Callable[[Graph, C], bool], rule: Rule[Graph, C]) -> Rule[Graph, C]:
    """Return ``rule`` for graphs of which ``condition`` holds; it finds nothing in others."""

    @wraps(rule)
    def conditional(graph: Graph, chip: C) -> Iterator[Diagnostic]:
        if condition(graph, chip):
            yield from rule(graph, chip)

    return conditional


@each(Neuron)
def comparison(node: Neuron, chip: SpecBase) -> Iterator[str]:
    """A neuron fires at its threshold, not only above it."""
    if node.compare != "ge":
        yield f"fires only above its threshold, {chip.name} at it"


def unusual(node: Neuron, usual: Mapping[str, float], chip: SpecBase) -> Iterator[str]:
    """Yield the fields of ``node`` that are not as ``usual``, the only values that there are."""
    for field, value in usual.items():
        if np.any(getattr(node, field) != value):
            yield f"{field} is not {value}, which {chip.name} cannot hold"


def reset_of(node: Neuron) -> str:
    """Return how a neuron is reset: ``value``, or ``value, next`` where that is late."""
    return node.reset if node.reset_when == "same" else f"{node.reset}, {node.reset_when}"


def capped(cap: int) -> str:
    """Return ``is capped at 1 spike a step``."""
    return f"is capped at {cap} spike{'s' if cap != 1 else ''} a step"

"""Rules on float graphs that chip families share, and what such rules are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TypeAlias, TypeVar

import numpy as np

from toolchain.chips.rules.each import At, each
from toolchain.chips.rules.findings import C, Findings, Rule
from toolchain.hardware.chip import SpecBase
from toolchain.ir import Graph, Neuron, Node

__all__ = [
    "GraphRules",
    "NodeFault",
    "comparison",
    "node_rule",
    "nodes",
    "only_if",
    "required_values",
    "reset_amount_differs",
    "reset_of",
]

N = TypeVar("N", bound=Node)

NodeFault: TypeAlias = tuple[Callable[[N], object], str | Callable[[N], str]]
"""A test of a node, and what is wrong where it holds: ``{chip}`` and ``{node}`` are filled in."""


GraphRules: TypeAlias = tuple[Rule[Graph, C], ...]


def nodes(kind: type[N]) -> Callable[[Graph], Iterable[tuple[str, N]]]:
    """Return the nodes of a graph that are of ``kind``, for ``each``."""
    return lambda graph: graph.of(kind).items()


def node_rule(rule: str, kind: type[N], *faults: NodeFault[N]) -> Rule[Graph, SpecBase]:
    """Return the rule that reports an error for each of ``faults`` in each node of ``kind``."""

    def question(at: At[Graph, SpecBase, N]) -> Findings:
        for test, words in faults:
            if test(at.item):
                words = words if isinstance(words, str) else words(at.item)
                yield at.finding(words.format(chip=at.chip.name, node=at.item))

    question.__name__ = rule
    return each(nodes(kind))(question)


def required_values(**usual: float) -> tuple[NodeFault[Neuron], ...]:
    """Return a fault for each field of a neuron that has to have one value and has another."""

    def other(field: str, value: float) -> Callable[[Neuron], object]:
        return lambda node: np.any(getattr(node, field) != value)

    words = "{field} is not {value}, which {{chip}} cannot hold"
    return tuple(
        (other(field, value), words.format(field=field, value=value))
        for field, value in usual.items()
    )


def only_if(condition: Callable[[Graph, C], bool], rule: Rule[Graph, C]) -> Rule[Graph, C]:
    """Return ``rule`` for graphs of which ``condition`` holds; it finds nothing in others."""

    @wraps(rule)
    def conditional(graph: Graph, chip: C) -> Findings:
        if condition(graph, chip):
            yield from rule(graph, chip)

    return conditional


comparison = node_rule(
    "comparison",
    Neuron,
    (lambda node: node.compare != "ge", "fires only above its threshold, {chip} at it"),
)


def reset_of(node: Neuron) -> str:
    """Return how a neuron is reset: ``value``, or ``value, next`` where that is late."""
    return node.reset if node.reset_when == "same" else f"{node.reset}, {node.reset_when}"


def reset_amount_differs(node: Neuron) -> bool:
    """Return whether a spike takes anything but the threshold off the membrane."""
    return node.reset_amount is not None and bool(np.any(node.reset_amount != node.v_threshold))

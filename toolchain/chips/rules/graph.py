"""Rules on float graphs that chip families share, and functions that build such rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from math import prod
from typing import TypeAlias, TypeVar

import numpy as np

from toolchain.chips.rules.each import At, each
from toolchain.chips.rules.findings import C, Findings, Rule
from toolchain.hardware.chip import SpecBase
from toolchain.ir import Graph, Membrane, Neuron, Node
from toolchain.passes.regions import dense_size
from toolchain.passes.regions.merge import MOST_WEIGHTS
from toolchain.report import count

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
    "too_large_to_merge",
]

N = TypeVar("N", bound=Node)

NodeFault: TypeAlias = tuple[Callable[[N], object], str | Callable[[N], str]]
"""A test of a node, and the message for nodes that it holds for; ``{chip}`` and ``{node}`` are
replaced."""

GraphRules: TypeAlias = tuple[Rule[Graph, C], ...]


def nodes(kind: type[N]) -> Callable[[Graph], Iterable[tuple[str, N]]]:
    """Return a function that yields the nodes of ``kind`` of a graph, as argument of ``each``."""
    return lambda graph: graph.of(kind).items()


def node_rule(rule: str, kind: type[N], *faults: NodeFault[N]) -> Rule[Graph, SpecBase]:
    """Return the rule that reports each of ``faults`` in each node of ``kind`` as an error."""

    def check(at: At[Graph, SpecBase, N]) -> Findings:
        for test, message in faults:
            if test(at.item):
                text = message if isinstance(message, str) else message(at.item)
                yield at.finding(text.format(chip=at.chip.name, node=at.item))

    check.__name__ = rule
    return each(nodes(kind))(check)


def too_large_to_merge(graph: Graph, name: str) -> str:
    """Return a note on a layer between neurons that is not merged with those around it.

    Empty unless the only reason is the size of the matrix that they would become.
    """
    size = dense_size(graph, name)
    if size is None or prod(size) <= MOST_WEIGHTS:
        return ""
    rows, columns = map(count, size)
    return (
        f"; with the layers around it it is no convolution, and one dense weight would have "
        f"{rows} x {columns} numbers, more than {count(MOST_WEIGHTS)}"
    )


def required_values(**required: float) -> tuple[NodeFault[Membrane], ...]:
    """Return a fault for each field of a membrane whose value is not the required one.

    A membrane without that field has none.
    """

    def differs(field: str, value: float) -> Callable[[Membrane], object]:
        return lambda node: np.any(getattr(node, field, value) != value)

    message = "{field} must be {value} on {{chip}}"
    return tuple(
        (differs(field, value), message.format(field=field, value=value))
        for field, value in required.items()
    )


def only_if(condition: Callable[[Graph, C], bool], rule: Rule[Graph, C]) -> Rule[Graph, C]:
    """Return ``rule`` restricted to graphs for which ``condition`` holds."""

    @wraps(rule)
    def conditional(graph: Graph, chip: C) -> Findings:
        if condition(graph, chip):
            yield from rule(graph, chip)

    return conditional


comparison = node_rule(
    "comparison",
    Neuron,
    (
        lambda node: node.compare != "ge",
        "spikes only when v_mem > v_threshold; {chip} when v_mem >= v_threshold",
    ),
)


def reset_of(node: Neuron) -> str:
    """Return the reset of a neuron as text: ``value``, or ``value, next`` for a later timestep."""
    return node.reset if node.reset_when == "same" else f"{node.reset}, {node.reset_when}"


def reset_amount_differs(node: Neuron) -> bool:
    """Return True if a spike subtracts an amount that differs from the threshold."""
    return node.reset_amount is not None and bool(np.any(node.reset_amount != node.v_threshold))

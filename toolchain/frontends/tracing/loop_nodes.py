"""Nodes of a loop over time; every step must do the same.

In each step, the n-th call of a layer, or of a function at one line, is one node of the Graph. The
inputs of that node in the last step are its wiring: a value of step k - d that is used in step k is
an edge of delay d. Every earlier step is compared with that wiring; only what would come from
before the first step may be absent there, or zero.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from toolchain.frontends.frameworks.adapter import UnsupportedError
from toolchain.frontends.tracing.calls import Call
from toolchain.ir import Edge
from toolchain.report import plural

__all__ = ["LoopNodes", "StepSource"]

StepSource: TypeAlias = tuple[str, int | None] | None
"""A node and the step of its value (None: the same value in every step), or None for zeros."""


@dataclass(slots=True, eq=False)
class _LoopNode:
    """A node inside a loop.

    Attributes:
        call: its first call.
        kind: an ``add`` outputs its other operand where one is absent; a ``join`` of all steps is
            no node of the Graph.
        sources: its inputs, by step.
    """

    call: Call
    kind: str
    sources: dict[int, tuple[StepSource, ...]] = field(default_factory=dict)

    def wiring(self) -> list[tuple[str, int | None]]:
        """Return the input nodes with delays as of the last step; delay None: in every step."""
        last = max(self.sources)
        return [
            (node, None if step is None else last - step)
            for node, step in filter(None, self.sources[last])
        ]


@dataclass(slots=True)
class LoopNodes:
    """Nodes inside loops over time, with their inputs in each step."""

    nodes: dict[str, _LoopNode] = field(default_factory=dict)
    _counts: dict[Hashable, int] = field(default_factory=dict)

    def call_key(self, operation: Hashable, step: int | None) -> Hashable:
        """Return the key of the next call of ``operation`` in ``step``, the same in each step."""
        n = self._counts[operation, step] = self._counts.get((operation, step), -1) + 1
        return operation, n

    def add_inputs(
        self, name: str, call: Call, step: int, sources: Sequence[StepSource], kind: str = ""
    ) -> None:
        """Record the inputs of node ``name`` in ``step``."""
        loop_node = self.nodes.setdefault(name, _LoopNode(call, kind))
        loop_node.sources[step] = tuple(sources)

    def edges(self) -> Iterator[Edge]:
        """Yield the edges inside the loops."""
        for name, loop_node in self.nodes.items():
            for node, delay in loop_node.wiring() if loop_node.kind != "join" else []:
                yield Edge(node, name, delay or 0)

    def check(self, name: str) -> None:
        """Check that a node takes the same inputs in every step.

        Raises:
            UnsupportedError: they differ between two steps.
        """
        loop_node = self.nodes[name]
        last = max(loop_node.sources)
        wiring = loop_node.wiring()
        if len(wiring) < len(loop_node.sources[last]):
            raise UnsupportedError(f"receives zeros in step {last} instead of a layer's output")
        for step, sources in sorted(loop_node.sources.items()):
            expected = [self._expected(source, step) for source in wiring]
            if list(sources) != expected:
                here, there = (_describe_sources(loop_node.sources[n], n) for n in (step, last))
                raise UnsupportedError(
                    f"takes its input from {here} in step {step}, but from {there} in step {last}; "
                    "a loop over time must do the same in each step"
                )

    def _expected(self, source: tuple[str, int | None], step: int) -> StepSource:
        """Return the node and step that an edge takes its value from in ``step``."""
        node, delay = source
        if delay is None:
            return node, None
        if delay > step:
            return None
        source_step = step - delay
        loop_node = self.nodes.get(node)
        if loop_node is None or loop_node.kind != "add" or source_step in loop_node.sources:
            return node, source_step
        operands = [self._expected(operand, source_step) for operand in loop_node.wiring()]
        present = [operand for operand in operands if operand is not None]
        if not present:
            return None
        return present[0] if len(present) == 1 else (node, source_step)


def _describe_sources(sources: Sequence[StepSource], step: int) -> str:
    return " and ".join(_describe_source(source, step) for source in sources) or "nothing"


def _describe_source(source: StepSource, step: int) -> str:
    if source is None:
        return "zeros"
    node, source_step = source
    if source_step is None or source_step == step:
        return repr(node)
    return f"{node!r} of {plural(step - source_step, 'step')} before"

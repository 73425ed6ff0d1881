"""The Graph during conversion: nodes, edges, and the names in use."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

from toolchain.arrays import Shape
from toolchain.frontends.frameworks.adapter import Fragment
from toolchain.frontends.tracing.axes import AxisLayout
from toolchain.frontends.tracing.calls import Call
from toolchain.frontends.tracing.loop_nodes import LoopNodes
from toolchain.ir import Edge, Node

__all__ = ["PartialGraph", "Signal"]


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Position of a tensor in the graph, with the layout of its leading axes.

    Attributes:
        node: the node that outputs it; empty if it follows from a refused call.
        layout: its leading axes. A layout with a time axis and a ``step`` has one of length 1.
        step: its timestep; None for a whole sequence, and for a frame that is the same in each.
        state: True for a state of the node, False for its output.
        frame: True for a frame that is the same in each step, with a time axis of length 1.
        stacked: the signals of a stack along an axis that is neither time nor a feature.
        before: where its features were only reshaped, the signal and its features before that.
    """

    node: str
    layout: AxisLayout
    step: int | None = None
    state: bool = False
    frame: bool = False
    stacked: tuple[Signal, ...] = ()
    before: tuple[Signal, Shape] | None = None

    @property
    def sequence(self) -> bool:
        """True if it contains every timestep."""
        return self.step is None and self.layout is not AxisLayout.STEP and not self.frame

    def at(self, like: Signal) -> Signal:
        """Return the same node and features with layout and timestep of ``like``."""
        return replace(self, layout=like.layout, step=like.step, frame=like.frame)


@dataclass(slots=True, eq=False)
class PartialGraph:
    """Nodes and edges of an unfinished Graph.

    Attributes:
        nodes: by name.
        edges: between whole sequences; those inside a loop over time are in ``loop``.
        loop: the nodes inside loops over time.
        reserved: names of layers, which no node of a function takes.
        moves: nodes that only move features, which may turn out to be of no use.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    loop: LoopNodes = field(default_factory=LoopNodes)
    reserved: set[str] = field(default_factory=set)
    moves: set[str] = field(default_factory=set)
    _fragments: dict[Hashable, Fragment] = field(default_factory=dict)
    _absent: dict[Hashable, Call] = field(default_factory=dict)

    def free_name(self, name: str, call: Call | None = None) -> str:
        """Return ``name``, with a number appended if it is in use.

        A layer's name is reserved for its first call; the nodes of functions never take it.
        """
        is_layer = call is not None and call.module is not None
        names_in_use = {*self.nodes} if is_layer else {*self.nodes, *self.reserved}
        count, free = 1, name
        while free in names_in_use:
            count += 1
            free = f"{name}#{count}"
        return free

    def add_node(self, name: str, node: Node, source: Signal | None = None) -> None:
        """Add a node that takes whole sequences."""
        self.nodes[name] = node
        if source is not None:
            self._connect(source, name)

    def add_call(
        self,
        call: Call,
        operation: Hashable,
        sources: Sequence[Signal | None],
        like: Signal,
        make: Callable[[str], Fragment],
        kind: str = "",
    ) -> Signal:
        """Add the nodes of a call, or find those of the same call in another timestep.

        Args:
            call: the call.
            operation: the layer, or the function with its source line.
            sources: inputs of the call, None for zeros.
            like: layout and step of the output.
            make: returns the nodes for a name.
            kind: see :class:`_LoopNode` of ``loop_nodes``.
        """
        key: Hashable = call, operation
        if not like.sequence:
            nodes = tuple(source.node for source in sources if source)
            key = (
                (operation, nodes)
                if like.step is None
                else self.loop.call_key(operation, like.step)
            )
        fragment = self._fragments.get(key)
        if fragment is None:
            fragment = self._fragments[key] = make(
                self.free_name(_preferred_name(call, kind), call)
            )
            self.nodes |= fragment.nodes
            self.edges += fragment.edges
            if like.step is None:
                for source in sources:
                    self._connect(source, fragment.entry)
        if like.step is not None:
            step_sources = [(source.node, source.step) if source else None for source in sources]
            self.loop.add_inputs(fragment.entry, call, like.step, step_sources, kind)
        return Signal(fragment.exit, like.layout, like.step, frame=like.frame)

    def remove_unused(self) -> None:
        """Remove the nodes in ``moves`` that no other node takes its input from."""
        while unused := self.moves & {*self.nodes} - self._used():
            for name in unused:
                del self.nodes[name]
                self.loop.nodes.pop(name, None)
            self.edges = [edge for edge in self.edges if edge.post not in unused]

    def _used(self) -> set[str]:
        sources = [
            source[0]
            for loop_node in self.loop.nodes.values()
            for step in loop_node.sources.values()
            for source in step
            if source is not None
        ]
        return {*sources, *(edge.pre for edge in self.edges)}

    def add_absent(self, call: Call, operation: Hashable, step: int | None) -> None:
        """Record a sum with a zero operand in this timestep, which needs no node yet."""
        self._absent.setdefault(
            (operation, 0) if step is None else self.loop.call_key(operation, step), call
        )

    def permanently_absent(self) -> list[Call]:
        """Return the sums that have a zero operand in every timestep."""
        return [call for key, call in self._absent.items() if key not in self._fragments]

    def _connect(self, source: Signal | None, post: str) -> None:
        if source is not None and source.node:
            self.edges.append(Edge(source.node, post))


def _preferred_name(call: Call, kind: str) -> str:
    """Return the name for a node of ``call`` if it is free."""
    if call.module is not None:
        return call.name
    return f"{call.name}.{kind}" if call.name else kind

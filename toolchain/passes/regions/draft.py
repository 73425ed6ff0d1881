"""A graph while a region of it is replaced: nodes with provisional names, named at the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from toolchain.ir import Edge, Flatten, Graph, Membrane, Node, Output, Reshape

__all__ = ["Draft"]


@dataclass(slots=True, eq=False)
class Draft:
    """Nodes and edges that may change.

    Attributes:
        nodes, edges: of the graph so far.
        names: wanted names of new nodes, by provisional name, the best first.
    """

    nodes: dict[str, Node]
    edges: list[Edge]
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph) -> Draft:
        """Return the draft of a graph as it is."""
        return cls(graph.nodes, [*graph.edges])

    def add(self, names: Iterable[str], node: Node, *inputs: tuple[str, int]) -> str:
        """Add a node that reads ``inputs``, (name, delay) each, and return its name for now."""
        name = f"\0{len(self.names):06}"
        self.names[name] = tuple(names)
        self.nodes[name] = node
        self.edges += [Edge(pre, name, delay) for pre, delay in inputs]
        return name

    def connect(self, end: str, inputs: Iterable[str]) -> None:
        """Let ``end`` read ``inputs`` instead of what it reads."""
        self.edges = [edge for edge in self.edges if edge.post != end]
        self.edges += [Edge(pre, end) for pre in inputs]

    def insert_after(self, name: str, names: Iterable[str], node: Node) -> None:
        """Let all that read ``name`` read ``node`` instead, which reads ``name``."""
        new = self.add(names, node)
        self.edges = [replace(e, pre=new) if e.pre == name else e for e in self.edges]
        self.edges.append(Edge(name, new))

    def graph(self, like: Graph) -> Graph:
        """Return the graph, with provisional names."""
        return Graph(self.nodes, self.edges, dt=like.dt, provenance=like.provenance)

    def named(self, like: Graph) -> Graph:
        """Return the graph without nodes that lead nowhere, new ones under a wanted name."""
        self._clean()
        taken = {name for name in self.nodes if name not in self.names}
        to: dict[str, str] = {}
        for name in sorted(self.names.keys() & self.nodes.keys()):
            first, *_ = options = self.names[name]
            to[name] = next((one for one in options if one not in taken), first)
            while to[name] in taken:
                to[name] += "'"
            taken.add(to[name])
        edges = [Edge(to.get(e.pre, e.pre), to.get(e.post, e.post), e.delay) for e in self.edges]
        nodes = {to.get(name, name): node for name, node in self.nodes.items()}
        return Graph(nodes, edges, dt=like.dt, provenance=like.provenance)

    def _clean(self) -> None:
        """Remove what no output and no neuron reads, and a reshape before another one."""
        first = {edge.post: edge for edge in self.edges}
        for index, edge in enumerate(self.edges):
            while _reshapes(self.nodes[edge.post]) and _reshapes(self.nodes[edge.pre]):
                before = first[edge.pre]
                edge = Edge(before.pre, edge.post, before.delay + edge.delay)
            self.edges[index] = edge
        while True:
            read = {edge.pre for edge in self.edges}
            lost = {n for n in self.nodes if n not in read} - {
                name for name, node in self.nodes.items() if isinstance(node, (Membrane, Output))
            }
            if not lost:
                return
            self.nodes = {name: node for name, node in self.nodes.items() if name not in lost}
            self.edges = [edge for edge in self.edges if edge.post not in lost]


def _reshapes(node: Node) -> bool:
    return isinstance(node, (Flatten, Reshape))

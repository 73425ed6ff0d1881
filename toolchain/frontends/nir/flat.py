"""Flattening of nested graphs, and validation of the resulting edges.

The node ``lif`` of the inner graph ``layer`` becomes ``layer.lif``. Inner Input and Output nodes
are removed: they output the sum of their inputs, so each predecessor is connected to each
successor. Cycles are recurrent connections and are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.limits import DEFAULT
from toolchain.frontends.nir.nodes import NirEdge, NirGraph, NirNode

__all__ = ["flatten"]

ENDS = ("Input", "Output")
DUPLICATE_EDGE = (
    "duplicate edge; NIR does not define whether it counts twice: remove it or route it "
    "through a Scale"
)


def flatten(graph: NirGraph, where: str = "NIR graph") -> NirGraph:
    """Return one graph without inner graphs, with exactly one Input and at least one Output.

    Inner graphs have exactly one of each, since edges name no port. Metadata of inner graphs is
    dropped; that of nodes and of the outermost graph is kept.

    Args:
        graph: the graph as read; it is not modified.
        where: the file or object, for messages.

    Raises:
        ModelFileError: graphs nested too deeply or in themselves, colliding names, edges to
            missing nodes, duplicate edges, nodes that no input reaches or that reach no output,
            or a graph without exactly one Input and, in inner graphs, one Output (the message lists
            all).
    """
    flat = _Flattener()
    flat.add(graph, "", ())
    if not flat.faults:
        flat.splice()
    if not flat.faults:
        flat.faults += _edge_faults(flat.nodes, flat.edges)
    if flat.faults:
        raise file_error(where, flat.faults)
    return NirGraph(nodes=flat.nodes, edges=tuple(flat.edges), metadata=graph.metadata)


class _Flattener:
    """Nodes and edges under their qualified names, and the problems found."""

    def __init__(self) -> None:
        self.nodes: dict[str, NirNode] = {}
        self.edges: list[NirEdge] = []
        self.inner: list[str] = []  # Input and Output nodes to remove
        self.faults: list[NirFault] = []

    def add(self, graph: NirGraph, prefix: str, parents: tuple[int, ...]) -> None:
        """Add everything in ``graph``; ``parents`` are the identities of the graphs around it."""
        path = prefix.removesuffix(".")
        if id(graph) in parents:
            self.faults.append((path, "the graph contains itself"))
            return
        if len(parents) >= DEFAULT.graph_depth:
            self.faults.append((path, f"is nested more than {DEFAULT.graph_depth} graphs deep"))
            return
        ends = self.ends(graph, path)
        for name, node in graph.nodes.items():
            if len(self.nodes) >= DEFAULT.nodes:
                self.faults.append((path, f"more than {DEFAULT.nodes} nodes"))
                return
            if isinstance(node, NirGraph):
                self.add(node, f"{prefix}{name}.", (*parents, id(graph)))
            elif f"{prefix}{name}" in self.nodes:
                self.faults.append((f"{prefix}{name}", "two nodes have this name after flattening"))
            else:
                self.nodes[f"{prefix}{name}"] = node
        if prefix:
            self.inner += [f"{prefix}{name}" for name in ends.values()]
        self.edges += self.prefixed_edges(graph, prefix)

    def ends(self, graph: NirGraph, path: str) -> dict[str, str]:
        """Return the name of the one Input and of the one Output of an inner graph."""
        found = {kind: _names_of(graph, kind) for kind in ENDS}
        for kind, names in found.items():
            several = kind == "Output" and not path
            if not names or (len(names) > 1 and not several):
                listing = f" ({', '.join(names)})" if names else ""
                owner = "the inner graph" if path else "the graph"
                expected = "at least one" if several else "exactly one"
                text = f"{owner} has {len(names)} {kind} nodes{listing}, expected {expected}"
                self.faults.append((path, text))
        return {kind: names[0] for kind, names in found.items() if len(names) == 1}

    def prefixed_edges(self, graph: NirGraph, prefix: str) -> Iterator[NirEdge]:
        """Yield the edges under qualified names; inner graphs end at their Input or Output."""
        for (pre, post), times in Counter(graph.edges).items():
            missing = [repr(name) for name in (pre, post) if name not in graph.nodes]
            edge = f"{prefix}{pre} -> {prefix}{post}"
            if missing:
                self.faults.append((edge, f"no such node: {', '.join(missing)}"))
                continue
            if times > 1:
                self.faults.append((edge, DUPLICATE_EDGE))
            yield (
                prefix + _port(graph.nodes[pre], pre, "Output"),
                prefix + _port(graph.nodes[post], post, "Input"),
            )

    def splice(self) -> None:
        """Remove the inner Input and Output nodes."""
        for name in self.inner:
            before = [pre for pre, post in self.edges if post == name]
            after = [post for pre, post in self.edges if pre == name]
            if name in before:
                self.faults.append((name, "is connected to itself without a node in between"))
                return
            rest = [edge for edge in self.edges if name not in edge]
            through = list(product(before, after))
            if len(rest) + len(through) > DEFAULT.edges:
                self.faults.append((name, f"more than {DEFAULT.edges} edges after flattening"))
                return
            self.edges = rest + through
            del self.nodes[name]
            self.faults += [(f"{a} -> {b}", DUPLICATE_EDGE) for a, b in _duplicates(self.edges)]
            if self.faults:
                return


def _names_of(graph: NirGraph, kind: str) -> list[str]:
    return [
        name
        for name, node in graph.nodes.items()
        if isinstance(node, NirNode) and node.type == kind
    ]


def _port(node: NirNode | NirGraph, name: str, kind: str) -> str:
    """Return the node that an edge at ``name`` attaches to; an inner graph has one per kind."""
    ends = _names_of(node, kind) if isinstance(node, NirGraph) else []
    return f"{name}.{ends[0]}" if ends else name


def _duplicates(edges: Iterable[NirEdge]) -> list[NirEdge]:
    return [edge for edge, times in Counter(edges).items() if times > 1]


def _edge_faults(nodes: Mapping[str, NirNode], edges: list[NirEdge]) -> Iterator[NirFault]:
    """Yield unreachable nodes, edges into the Input and edges out of an Output."""
    (start,), ends = ([n for n, node in nodes.items() if node.type == kind] for kind in ENDS)
    for pre, post in edges:
        if post == start:
            yield f"{pre} -> {post}", "edge into the Input"
        if pre in ends:
            yield f"{pre} -> {post}", "edge out of the Output"
    from_input = _reachable([start], edges)
    to_output = _reachable(ends, [(post, pre) for pre, post in edges])
    for name in nodes:
        if name not in from_input:
            yield name, f"not reachable from the Input {start!r}"
        elif name not in to_output:
            yield name, f"does not reach the Output {' or '.join(map(repr, ends))}"


def _reachable(starts: Iterable[str], edges: Iterable[NirEdge]) -> set[str]:
    """Return ``starts`` and every node that can be reached from one of them."""
    after: dict[str, list[str]] = {}
    for pre, post in edges:
        after.setdefault(pre, []).append(post)
    found, pending = {*starts}, [*starts]
    while pending:
        new = set(after.get(pending.pop(), ())) - found
        found |= new
        pending += new
    return found

"""Graphs within graphs dissolved into one, and what then is wrong with its edges.

A node ``lif`` of the inner graph ``layer`` becomes ``layer.lif``. Inner Input and Output nodes are
taken out: they pass on the sum of what enters them, so each node before one is joined to each
node behind it. Cycles of edges are recurrence and stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.limits import DEFAULT
from toolchain.frontends.nir.nodes import NirEdge, NirGraph, NirNode

__all__ = ["flatten"]

ENDS = ("Input", "Output")
DUPLICATE_EDGE = (
    "two connections from one node to another; NIR does not say whether the second counts, "
    "remove it or send it through a Scale"
)


def flatten(graph: NirGraph, where: str = "NIR graph") -> NirGraph:
    """One graph without graphs in it, and with exactly one Input and one Output.

    Metadata of inner graphs is dropped, that of nodes and of the outermost graph stays.

    Args:
        graph: as read; it is not changed.
        where: the file or object, for messages.

    Raises:
        ModelFileError: graphs nested too deep or in themselves, names that fall together, edges to
            nodes that are not there or twice between the same, nodes that no input reaches or that
            reach no output, or not one Input and one Output in each graph; all at once.
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
    """Nodes and edges under their long names, and what was wrong on the way."""

    def __init__(self) -> None:
        self.nodes: dict[str, NirNode] = {}
        self.edges: list[NirEdge] = []
        self.inner: list[str] = []  # Input and Output nodes to be taken out
        self.faults: list[NirFault] = []

    def add(self, graph: NirGraph, prefix: str, parents: tuple[int, ...]) -> None:
        """Everything in ``graph``; ``above`` are the identities of the graphs around it."""
        path = prefix.removesuffix(".")
        if id(graph) in parents:
            self.faults.append((path, "the graph contains itself"))
            return
        if len(parents) >= DEFAULT.graph_depth:
            self.faults.append((path, f"lies more than {DEFAULT.graph_depth} graphs deep"))
            return
        ends = self.ends(graph, path)
        for name, node in graph.nodes.items():
            if len(self.nodes) >= DEFAULT.nodes:
                self.faults.append((path, f"more than {DEFAULT.nodes} nodes"))
                return
            if isinstance(node, NirGraph):
                self.add(node, f"{prefix}{name}.", (*parents, id(graph)))
            elif f"{prefix}{name}" in self.nodes:
                self.faults.append((f"{prefix}{name}", "the name of two nodes, once dissolved"))
            else:
                self.nodes[f"{prefix}{name}"] = node
        if prefix:
            self.inner += [f"{prefix}{name}" for name in ends.values()]
        self.edges += self.prefixed_edges(graph, prefix)

    def ends(self, graph: NirGraph, path: str) -> dict[str, str]:
        """The name of the one Input and of the one Output."""
        found = {kind: _names_of(graph, kind) for kind in ENDS}
        for kind, names in found.items():
            if len(names) != 1:
                listing = f" ({', '.join(names)})" if names else ""
                owner = "the inner graph" if path else "the graph"
                text = f"{owner} has {len(names)} {kind} nodes{listing}; takes exactly one"
                self.faults.append((path, text))
        return {kind: names[0] for kind, names in found.items() if len(names) == 1}

    def prefixed_edges(self, graph: NirGraph, prefix: str) -> Iterator[NirEdge]:
        """The edges under long names; those of an inner graph end at its Input or Output."""
        for (pre, post), times in Counter(graph.edges).items():
            missing = [repr(name) for name in (pre, post) if name not in graph.nodes]
            edge = f"{prefix}{pre} -> {prefix}{post}"
            if missing:
                self.faults.append((edge, f"there is no node {' nor '.join(missing)}"))
                continue
            if times > 1:
                self.faults.append((edge, DUPLICATE_EDGE))
            yield (
                prefix + _port(graph.nodes[pre], pre, "Output"),
                prefix + _port(graph.nodes[post], post, "Input"),
            )

    def splice(self) -> None:
        """Take out the inner Input and Output nodes."""
        for name in self.inner:
            before = [pre for pre, post in self.edges if post == name]
            after = [post for pre, post in self.edges if pre == name]
            if name in before:
                self.faults.append((name, "feeds itself, with nothing between that computes"))
                return
            rest = [edge for edge in self.edges if name not in edge]
            through = [(pre, post) for pre in before for post in after]
            if len(rest) + len(through) > DEFAULT.edges:
                self.faults.append((name, f"more than {DEFAULT.edges} edges, once dissolved"))
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
    """Where an edge at ``name`` is attached: within a graph to its one end of that kind."""
    ends = _names_of(node, kind) if isinstance(node, NirGraph) else []
    return f"{name}.{ends[0]}" if ends else name


def _duplicates(edges: Iterable[NirEdge]) -> list[NirEdge]:
    return [edge for edge, times in Counter(edges).items() if times > 1]


def _edge_faults(nodes: Mapping[str, NirNode], edges: list[NirEdge]) -> Iterator[NirFault]:
    """Nodes that lead nowhere, and edges into the Input or out of the Output."""
    (start,), (end,) = ([n for n, node in nodes.items() if node.type == kind] for kind in ENDS)
    for pre, post in edges:
        if post == start:
            yield f"{pre} -> {post}", "leads into the Input"
        if pre == end:
            yield f"{pre} -> {post}", "leads out of the Output"
    from_input = _reachable(start, edges)
    to_output = _reachable(end, [(post, pre) for pre, post in edges])
    for name in nodes:
        if name not in from_input:
            yield name, f"nothing leads to it from the Input {start!r}"
        elif name not in to_output:
            yield name, f"nothing leads from it to the Output {end!r}"


def _reachable(start: str, edges: Iterable[NirEdge]) -> set[str]:
    """``start`` and everything that can be reached from it."""
    after: dict[str, list[str]] = {}
    for pre, post in edges:
        after.setdefault(pre, []).append(post)
    found, pending = {start}, [start]
    while pending:
        new = set(after.get(pending.pop(), ())) - found
        found |= new
        pending += new
    return found

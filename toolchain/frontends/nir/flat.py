"""Graphs within graphs dissolved into one, and what then is wrong with its edges.

A node ``lif`` of the inner graph ``layer`` becomes ``layer.lif``. Inner Input and Output nodes are
taken out: they pass on the sum of what enters them, so each node before one is joined to each
node behind it. Cycles of edges are recurrence and stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from toolchain.frontends.nir.faults import Fault, file_error
from toolchain.frontends.nir.limits import DEFAULT
from toolchain.frontends.nir.nodes import NirGraph, NirNode

__all__ = ["flatten"]

Edge = tuple[str, str]
ENDS = ("Input", "Output")
SHARED = (
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
    flat = _Flat()
    flat.add(graph, "", ())
    if not flat.faults:
        flat.splice()
    if not flat.faults:
        flat.faults += _edge_faults(flat.nodes, flat.edges)
    if flat.faults:
        raise file_error(where, flat.faults)
    return NirGraph(nodes=flat.nodes, edges=tuple(flat.edges), metadata=graph.metadata)


class _Flat:
    """Nodes and edges under their long names, and what was wrong on the way."""

    def __init__(self) -> None:
        self.nodes: dict[str, NirNode] = {}
        self.edges: list[Edge] = []
        self.inner: list[str] = []  # Input and Output nodes to be taken out
        self.faults: list[Fault] = []

    def add(self, graph: NirGraph, prefix: str, above: tuple[int, ...]) -> None:
        """Everything in ``graph``; ``above`` are the identities of the graphs around it."""
        here = prefix.removesuffix(".")
        if id(graph) in above:
            self.faults.append((here, "the graph contains itself"))
            return
        if len(above) >= DEFAULT.graph_depth:
            self.faults.append((here, f"lies more than {DEFAULT.graph_depth} graphs deep"))
            return
        ends = self.ends(graph, here)
        for name, node in graph.nodes.items():
            if len(self.nodes) >= DEFAULT.nodes:
                self.faults.append((here, f"more than {DEFAULT.nodes} nodes"))
                return
            if isinstance(node, NirGraph):
                self.add(node, f"{prefix}{name}.", (*above, id(graph)))
            elif f"{prefix}{name}" in self.nodes:
                self.faults.append((f"{prefix}{name}", "the name of two nodes, once dissolved"))
            else:
                self.nodes[f"{prefix}{name}"] = node
        if prefix:
            self.inner += [f"{prefix}{name}" for name in ends.values()]
        self.edges += self.joined(graph, prefix)

    def ends(self, graph: NirGraph, here: str) -> dict[str, str]:
        """The name of the one Input and of the one Output."""
        found = {kind: _of(graph, kind) for kind in ENDS}
        for kind, names in found.items():
            if len(names) != 1:
                are = f" ({', '.join(names)})" if names else ""
                what = "the inner graph" if here else "the graph"
                text = f"{what} has {len(names)} {kind} nodes{are}; takes exactly one"
                self.faults.append((here, text))
        return {kind: names[0] for kind, names in found.items() if len(names) == 1}

    def joined(self, graph: NirGraph, prefix: str) -> Iterator[Edge]:
        """The edges under long names; those of an inner graph end at its Input or Output."""
        for (pre, post), times in Counter(graph.edges).items():
            missing = [repr(name) for name in (pre, post) if name not in graph.nodes]
            edge = f"{prefix}{pre} -> {prefix}{post}"
            if missing:
                self.faults.append((edge, f"there is no node {' nor '.join(missing)}"))
                continue
            if times > 1:
                self.faults.append((edge, SHARED))
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
            self.faults += [(f"{a} -> {b}", SHARED) for a, b in _twice(self.edges)]
            if self.faults:
                return


def _of(graph: NirGraph, kind: str) -> list[str]:
    return [
        name
        for name, node in graph.nodes.items()
        if isinstance(node, NirNode) and node.type == kind
    ]


def _port(node: NirNode | NirGraph, name: str, kind: str) -> str:
    """Where an edge at ``name`` is attached: within a graph to its one end of that kind."""
    ends = _of(node, kind) if isinstance(node, NirGraph) else []
    return f"{name}.{ends[0]}" if ends else name


def _twice(edges: Iterable[Edge]) -> list[Edge]:
    return [edge for edge, times in Counter(edges).items() if times > 1]


def _edge_faults(nodes: Mapping[str, NirNode], edges: list[Edge]) -> Iterator[Fault]:
    """Nodes that lead nowhere, and edges into the Input or out of the Output."""
    (start,), (end,) = ([n for n, node in nodes.items() if node.type == kind] for kind in ENDS)
    for pre, post in edges:
        if post == start:
            yield f"{pre} -> {post}", "leads into the Input"
        if pre == end:
            yield f"{pre} -> {post}", "leads out of the Output"
    fed = _reached(start, edges)
    used = _reached(end, [(post, pre) for pre, post in edges])
    for name in nodes:
        if name not in fed:
            yield name, f"nothing leads to it from the Input {start!r}"
        elif name not in used:
            yield name, f"nothing leads from it to the Output {end!r}"


def _reached(start: str, edges: Iterable[Edge]) -> set[str]:
    """``start`` and everything that can be reached from it."""
    after: dict[str, list[str]] = {}
    for pre, post in edges:
        after.setdefault(pre, []).append(post)
    found, open_ = {start}, [start]
    while open_:
        fresh = set(after.get(open_.pop(), ())) - found
        found |= fresh
        open_ += fresh
    return found

"""Repair of graphs whose edges, ends or shapes are incomplete in exactly one possible way.

- An edge names a node that does not exist, and one node without edges can be meant, or the graph's
  own Input or Output, if it has none.
- An edge names a node inside an inner graph: its Input or Output, or the only node beside that.
- An edge is listed several times; it counts once, as in the frameworks' importers.
- The Input or the Output is missing or has no edges, and one node alone has no input or no output.
- The Input has no shape, and the nodes after it give one.
- A Flatten without ``input_type`` counts the batch axis, as torch does, and a weight follows.

With several possible repairs the graph is refused, with all of them named; other faults are left
to ``flat``. Weights are never changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, permutations

import numpy as np

from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.flat import ENDS
from toolchain.frontends.nir.input_shape import input_shape
from toolchain.frontends.nir.limits import DEFAULT
from toolchain.frontends.nir.nodes import NirEdge, NirGraph, NirNode

__all__ = ["repaired"]

MOST_MISSING, MOST_LOOSE = 3, 6
"""Number of names without a node, and of nodes without edges, up to which repairs are sought."""
MOST_NAMED = 5
"""Number of possible repairs that an error names."""
NEEDS = {"Input": (False, True), "Output": (True, False)}
"""Whether edges end and start at a node; both in all other types."""
SIDES = {"Input": ("input", "before"), "Output": ("output", "after")}


def repaired(graph: NirGraph, where: str = "NIR graph") -> tuple[NirGraph, tuple[str, ...]]:
    """Return the graph with the repairs made, and a sentence about each.

    Args:
        graph: the graph as read; it is not modified.
        where: the file or object, for messages.

    Raises:
        ModelFileError: several repairs are possible, or the shape of an Input is unknown (the
            message lists all).
    """
    repairer = _Repairer()
    found = repairer.graph(graph, "", ())
    if repairer.faults:
        raise file_error(where, repairer.faults)
    return found, tuple(repairer.notes)


class _Repairer:
    """Repairs and problems of a graph and its inner graphs."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.faults: list[NirFault] = []
        self.done: dict[int, NirGraph] = {}

    def graph(self, graph: NirGraph, place: str, parents: tuple[int, ...]) -> NirGraph:
        """Repair a graph; ``parents`` are the identities of the graphs around it."""
        if id(graph) in self.done:
            return self.done[id(graph)]
        if id(graph) in parents or len(parents) >= DEFAULT.graph_depth:
            return graph  # reported by ``flat``
        inside = (*parents, id(graph))
        nodes = {
            name: self.graph(node, f"{place}{name}.", inside)
            if isinstance(node, NirGraph)
            else node
            for name, node in graph.nodes.items()
        }
        part = _Part(nodes, graph.edges)
        part.repair()
        if not parents:
            part.find_shape()
        here = place.removesuffix(".")
        self.notes += [f"{here}: {note}" if here else note for note in part.notes]
        self.faults += [(here, fault) for fault in part.faults]
        same = part.edges == graph.edges and part.nodes == {**graph.nodes}
        new = graph if same else replace(graph, nodes=part.nodes, edges=part.edges)
        self.done[id(graph)] = new
        return new


@dataclass(frozen=True, slots=True)
class _Meant:
    """Meaning of a name without a node: a node of the graph, or a new end if ``name`` is None."""

    kind: str
    name: str | None

    def __str__(self) -> str:
        return repr(self.name) if self.name is not None else f"a new {self.kind}"


class _Part:
    """One graph while it is repaired."""

    def __init__(self, nodes: dict[str, NirNode | NirGraph], edges: tuple[NirEdge, ...]) -> None:
        self.nodes, self.edges = nodes, edges
        self.notes: list[str] = []
        self.faults: list[str] = []

    def repair(self) -> None:
        self.name_inner_graphs()
        self.count_edges_once()
        self.find_missing_names()
        if not self.faults and self.edges_lead_to_nodes():
            for kind in ENDS:
                self.connect_end(kind)
        self.flatten_from_first_axis()

    def of(self, kind: str) -> list[str]:
        """Return the names of the nodes of a type."""
        return [name for name, node in self.nodes.items() if _type(node) == kind]

    def edges_lead_to_nodes(self) -> bool:
        return all(name in self.nodes for edge in self.edges for name in edge)

    # ---- edges ----

    def name_inner_graphs(self) -> None:
        """Let edges to an end of an inner graph, or the only node beside it, name that graph."""
        meant = {
            (name, side): graph
            for edge in self.edges
            for side, name in enumerate(edge)
            if name not in self.nodes and (graph := self.around(name, side)) is not None
        }
        self.edges = tuple((meant.get((a, 0), a), meant.get((b, 1), b)) for a, b in self.edges)
        for name, graph in {name: graph for (name, _), graph in meant.items()}.items():
            self.notes.append(f"{name!r} in the edges is the inner graph {graph!r}")

    def around(self, name: str, side: int) -> str | None:
        """Return the inner graph that an edge means by ``name`` where it starts (0) or ends (1)."""
        kind = ENDS[1 - side]
        for graph, node in self.inner():
            inside = name.removeprefix(f"{graph}.")
            if inside == name or inside not in node.nodes:
                continue
            ends = [end for end, each in node.nodes.items() if _type(each) == kind]
            beside = [edge[side] for edge in node.edges if edge[1 - side] in ends]
            if inside in ends or beside == [inside]:
                return graph
        return None

    def inner(self) -> list[tuple[str, NirGraph]]:
        return [(name, node) for name, node in self.nodes.items() if isinstance(node, NirGraph)]

    def count_edges_once(self) -> None:
        for (pre, post), times in Counter(self.edges).items():
            if times > 1:
                self.notes.append(f"the edge {pre} -> {post}, listed {times} times, counts once")
        self.edges = tuple(dict.fromkeys(self.edges))

    def find_missing_names(self) -> None:
        """Give each name without a node what it must mean."""
        named = dict.fromkeys(name for edge in self.edges for name in edge)
        missing = [name for name in named if name not in self.nodes]
        loose = [name for name in self.nodes if name not in named]
        if not 0 < len(missing) <= MOST_MISSING or len(loose) > MOST_LOOSE:
            return
        inside = {f"{graph}.{name}" for graph, node in self.inner() for name in node.nodes}
        if inside & set(missing):
            return  # no name of this graph
        ways = list(islice(self.meanings(missing, loose), MOST_NAMED))
        if len(ways) > 1:
            choices = [
                " and ".join(f"{name!r} is {meant}" for name, meant in way.items()) for way in ways
            ]
            self.faults.append(
                f"edges lead to no node: {', '.join(map(repr, missing))}; possible are: "
                f"{'; '.join(choices)}; correct the names in the edges"
            )
        elif ways:
            for name, meant in ways[0].items():
                self.settle(name, meant)

    def meanings(self, missing: list[str], loose: list[str]) -> Iterator[dict[str, _Meant]]:
        """Yield everything that the missing names can mean together."""
        options = [_Meant(_type(self.nodes[name]), name) for name in loose]
        options += [_Meant(kind, None) for kind in ENDS if not self.of(kind)]
        fed, feeding = {post for _, post in self.edges}, {pre for pre, _ in self.edges}
        has = {name: (name in fed, name in feeding) for name in missing}
        for chosen in permutations(options, len(missing)):
            way = dict(zip(missing, chosen, strict=True))
            if all(has[name] == NEEDS.get(meant.kind, (True, True)) for name, meant in way.items()):
                yield way

    def settle(self, name: str, meant: _Meant) -> None:
        if meant.name is None:
            self.nodes = {**self.nodes, name: NirNode(type=meant.kind, fields={})}
            self.notes.append(f"{name!r}, which only edges name, is the {meant.kind}")
            return
        renamed = {name: meant.name}
        self.edges = tuple((renamed.get(a, a), renamed.get(b, b)) for a, b in self.edges)
        self.notes.append(f"{name!r} in the edges is the node {meant.name!r}, which has no others")

    # ---- ends ----

    def connect_end(self, kind: str) -> None:
        """Connect the Input or Output, a new one if needed, to the only node that lacks one."""
        present = self.of(kind)
        own, side = int(kind == "Output"), SIDES[kind][1]
        if len(present) > 1 or any(edge[own] == name for edge in self.edges for name in present):
            return
        others = set(self.of("Input") + self.of("Output"))
        fed = {edge[1 - own] for edge in self.edges}
        open_nodes = [name for name in self.nodes if name not in fed | others]
        if len(open_nodes) > 1:
            names = " or ".join(map(repr, open_nodes[:MOST_NAMED]))
            self.faults.append(
                f"the {kind} {'has no edges' if present else 'is missing'}; it may be {side} "
                f"{names}; add the edge"
            )
        elif open_nodes:
            self.add_end(kind, present, open_nodes[0])

    def add_end(self, kind: str, present: list[str], at: str) -> None:
        lower, side = SIDES[kind]
        name = present[0] if present else self.unused(lower)
        if not present:
            self.nodes = {**self.nodes, name: NirNode(type=kind, fields={})}
        self.edges += ((name, at) if kind == "Input" else (at, name),)
        action = "is connected" if present else "is added"
        self.notes.append(f"the {kind} {name!r} {action} {side} {at!r}, the only node without one")

    def unused(self, name: str) -> str:
        while name in self.nodes:
            name += "_"
        return name

    # ---- shape ----

    def flatten_from_first_axis(self) -> None:
        """Let each Flatten before a weight flatten all axes, where it leaves out the batch axis."""
        for name in self.of("Flatten"):
            node = self.nodes[name]
            after = [self.nodes.get(post) for pre, post in self.edges if pre == name]
            weights = [isinstance(n, NirNode) and n.type in ("Affine", "Linear") for n in after]
            if not isinstance(node, NirNode) or "input_type" in node.fields or not all(weights):
                continue
            if after and np.array_equal(np.ravel(node.fields["start_dim"]), [1]):
                fields = {**node.fields, "start_dim": np.array(0)}
                self.nodes = {**self.nodes, name: replace(node, fields=fields)}
                self.notes.append(
                    f"{name!r} flattens all axes, since its start_dim of 1 counts batch"
                )

    def find_shape(self) -> None:
        """Give the Input the shape that the nodes after it take, if it has none."""
        name = next(iter(self.of("Input")), None)
        if name is None or self.faults:
            return
        node = self.nodes[name]
        if not isinstance(node, NirNode) or "shape" in node.fields:
            return
        after = [post for pre, post in self.edges if pre == name and post in self.nodes]
        shapes = {input_shape(self.nodes[post]) for post in after} - {None}
        if len(shapes) != 1:
            found = " and ".join(str(list(shape)) for shape in sorted(filter(None, shapes)))
            self.faults.append(
                f"the Input {name!r} has no shape, and the nodes after it, {', '.join(after)}, "
                f"{f'take {found}' if found else 'do not determine it'}; add the field shape"
            )
            return
        (shape,) = shapes
        assert shape is not None
        fields = {"shape": np.array(shape, dtype=np.int64)}
        self.nodes = {**self.nodes, name: replace(node, fields=fields)}
        self.notes.append(
            f"the shape of the Input {name!r} is {list(shape)}, as {after[0]!r} takes"
        )


def _type(node: NirNode | NirGraph) -> str:
    return node.type if isinstance(node, NirNode) else ""

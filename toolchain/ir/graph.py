"""The Graph: the computation of a trained network, as frozen nodes and edges.

Only this module uses networkx. Each method that changes something returns a new Graph. An edge has
a delay in timesteps: 0 within a step, 1 for recurrence. A loop needs at least one delayed edge, and
only ``Add`` takes several inputs.

The edge that has the delay of a recurrent connection decides when its bias acts first: with the
delay on the edge into the weight from step 0 (snnTorch), on the edge out of it from step 1
(sinabs).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from itertools import pairwise
from math import inf
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import networkx as nx
import numpy as np

from toolchain.arrays import Shape
from toolchain.diagnostics import GraphError
from toolchain.ir.nodes import Input, Node, Output
from toolchain.report import Column, Described, Sheet, Table, Text, plain, plural, short, visible

__all__ = ["Edge", "Graph"]

N = TypeVar("N", bound=Node)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """A connection: ``pre`` feeds ``post``, ``delay`` timesteps later.

    >>> edge = Edge("fc", "lif")
    >>> edge.pre, edge.post, edge.delay
    ('fc', 'lif', 0)
    """

    pre: str
    post: str
    delay: int = 0


class Graph(Described):
    """A network: named nodes, connected by edges.

    Attributes:
        dt: length of a timestep, s, or None where the model has none.
        provenance: origin of the graph (framework, version, dropped layers), as text.

    >>> from toolchain.ir import Input, Linear, Output
    >>> fc = Linear(weight=[[1.0, 0.0, 2.0]])
    >>> nodes = {"input": Input(shape=(3,)), "fc": fc, "output": Output()}
    >>> graph = Graph(nodes, [("input", "fc"), ("fc", "output")], dt=1e-3)
    >>> print(graph)
    graph dt=0.001 s
    input = Input(shape=[3])
    fc = Linear(weight=f64[1, 3]#0ac2d219) <- input
    output = Output() <- fc
    >>> graph.shape("fc"), graph.pre("output")
    ((1,), (Edge(pre='fc', post='output', delay=0),))
    """

    __slots__ = (
        "_derived",
        "_edges",
        "_input",
        "_names",
        "_net",
        "_nodes",
        "_post",
        "_pre",
        "_shapes",
        "dt",
        "provenance",
    )

    def __init__(
        self,
        nodes: Mapping[str, Node],
        edges: Iterable[Edge | tuple[str, str]],
        *,
        dt: float | None = None,
        provenance: Mapping[str, str] | None = None,
    ) -> None:
        """Build and verify; GraphError states what is wrong."""
        self._net: nx.DiGraph[Any] = nx.DiGraph()
        for name, node in nodes.items():
            self._net.add_node(name, node=node)
        for edge in edges:
            e = edge if isinstance(edge, Edge) else Edge(*edge)
            self._add_edge(e)
        self.dt = dt
        self.provenance: Mapping[str, str] = MappingProxyType(dict(provenance or {}))
        self._derived: dict[Callable[[Graph], Any], Any] = {}
        self._names = self._order()
        self._nodes: dict[str, Node] = {name: self._net.nodes[name]["node"] for name in self._names}
        self._edges = tuple(
            sorted(Edge(a, b, d["delay"]) for a, b, d in self._net.edges(data=True))
        )
        self._pre = _by_end(self._names, self._edges, "post")
        self._post = _by_end(self._names, self._edges, "pre")
        self._shapes = self._verified()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle nodes and edges; derived values are computed again."""
        parts = {**self._nodes}, self._edges, self.dt, {**self.provenance}
        return _rebuilt, parts

    @classmethod
    def chain(cls, nodes: Mapping[str, Node], **rest: Any) -> Graph:
        """Build a graph of ``nodes`` connected one after the other, in their order."""
        names = list(nodes)
        return cls(nodes, list(pairwise(names)), **rest)

    # ---- queries ----

    @property
    def nodes(self) -> dict[str, Node]:
        """Every node by name, producers first, ties in alphabetical order; a new dict."""
        return {**self._nodes}

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge, sorted."""
        return self._edges

    def __getitem__(self, name: str) -> Node:
        """Return the node of that name; KeyError lists the names."""
        if name not in self._net:
            raise KeyError(f"no node {name!r}; there are {', '.join(self._names)}")
        return self._nodes[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is a node of that name."""
        return name in self._net

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._net)

    def of(self, kind: type[N]) -> dict[str, N]:
        """Return the nodes of one type by name, producers first."""
        return {name: node for name, node in self._nodes.items() if isinstance(node, kind)}

    def pre(self, name: str) -> tuple[Edge, ...]:
        """Return the edges that end at ``name``."""
        return self._pre[name]

    def post(self, name: str) -> tuple[Edge, ...]:
        """Return the edges that start at ``name``."""
        return self._post[name]

    def before(self, name: str) -> str:
        """Return the only node that feeds ``name``."""
        (edge,) = self.pre(name)
        return edge.pre

    def after(self, name: str) -> str | None:
        """Return the only node that ``name`` feeds in the same step; None if it feeds several."""
        edges = self.post(name)
        return edges[0].post if len(edges) == 1 and edges[0].delay == 0 else None

    def chains(self, first: type[Node], second: type[Node]) -> Iterator[tuple[str, str]]:
        """Yield names (a, b): ``a`` of type ``first`` feeds only ``b`` of type ``second``."""
        for name, node in self._nodes.items():
            then = self.after(name)
            if isinstance(node, first) and then is not None and isinstance(self[then], second):
                yield name, then

    def shape(self, name: str) -> Shape:
        """Return the shape of the output of ``name`` in a timestep, without batch and time."""
        return self._shapes[name]

    def input_shape_of(self, name: str) -> Shape:
        """Return the shape of the input of ``name`` in a timestep."""
        return self._shapes[self.pre(name)[0].pre]

    @property
    def input(self) -> str:
        """The name of the input node."""
        return self._input

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the nodes that feed an Output, in the order of the network's outputs."""
        return tuple(self.before(name) for name in self.output_nodes)

    @property
    def output_nodes(self) -> tuple[str, ...]:
        """The names of the Output nodes, in the order of the network's outputs."""
        nodes = self.of(Output)
        return tuple(sorted(nodes, key=lambda name: nodes[name].index))

    @property
    def output_names(self) -> dict[str, str]:
        """The Output node of each output by name: its label, or the name of the node before it.

        Where that name is in use, it has the name of its Output node.
        """
        nodes, names = self.of(Output), dict[str, str]()
        for output in self.output_nodes:
            name = nodes[output].label or self.before(output)
            names[output if name in names else name] = output
        return names

    @property
    def recurrent(self) -> bool:
        """True if any edge has a delay."""
        return any(edge.delay for edge in self.edges)

    def derived(self, question: Callable[[Graph], T]) -> T:
        """Return ``question(self)``, computed once for this Graph.

        ``question`` is a function of a module, without side effects, and its result is shared by
        all callers: it must not be changed.
        """
        if question not in self._derived:
            self._derived[question] = question(self)
        found: T = self._derived[question]
        return found

    # ---- changes: each returns a new Graph ----

    def replace(self, changes: Mapping[str, Node]) -> Graph:
        """Return a graph with the same edges and other nodes under the names in ``changes``."""
        for name in changes:
            self[name]
        return self._with({**self.nodes, **changes}, self.edges)

    def map(self, kind: type[N], change: Callable[[str, N], Node]) -> Graph:
        """Return a graph with every node of ``kind`` replaced by ``change(name, node)``."""
        return self.replace({name: change(name, node) for name, node in self.of(kind).items()})

    def drop(self, name: str) -> Graph:
        """Return a graph without ``name``, which has one input; its consumers read that input."""
        (pre,) = self.pre(name)
        joined = [Edge(pre.pre, e.post, pre.delay + e.delay) for e in self.post(name)]
        kept = [e for e in self.edges if name not in (e.pre, e.post)]
        nodes = {key: node for key, node in self.nodes.items() if key != name}
        return self._with(nodes, [*kept, *joined])

    def with_dt(self, dt: float) -> Graph:
        """Return the same network with the timestep ``dt``, s."""
        return Graph(self.nodes, self.edges, dt=dt, provenance=self.provenance)

    def _with(self, nodes: Mapping[str, Node], edges: Iterable[Edge]) -> Graph:
        return Graph(nodes, edges, dt=self.dt, provenance=self.provenance)

    # ---- canonical text ----

    def __str__(self) -> str:
        """Return a stable text with one line a node, for comparisons in tests.

        Arrays are written as dtype, shape and digest, scalars in full; a field at its default
        is left out.
        """
        head = "graph" if self.dt is None else f"graph dt={self.dt:g} s"
        return "\n".join([head, *(self._line(name) for name in self._names)])

    def __repr__(self) -> str:
        """Return the numbers of nodes and edges, and dt."""
        return f"Graph(nodes={len(self)}, edges={len(self.edges)}, dt={self.dt})"

    def sheet(self) -> Sheet:
        """Describe each node with its parameters, its shape and the nodes that feed it."""
        table = Table(
            columns=(
                Column("node", wraps=False),
                Column("type", wraps=False),
                Column("output shape", wraps=False),
                Column("parameters"),
                Column("from"),
            ),
            rows=tuple(
                (
                    name,
                    type(node).__name__,
                    "x".join(map(str, self.shape(name))),
                    _listed(_short_parameters(self._parameters(name), node)),
                    self._sources(name),
                )
                for name, node in self._nodes.items()
            ),
        )
        origin = Text(tuple(f"{name}: {value}" for name, value in self.provenance.items()))
        dt = "no timestep" if self.dt is None else f"timestep {short(1e3 * self.dt, 6)} ms"
        return Sheet((table, origin), f"network of {plural(len(self), 'node')}, {dt}")

    def as_dict(self) -> dict[str, Any]:
        """Return the graph as plain data, which JSON can hold.

        Arrays are given as dtype, shape and digest, as in ``str``; ``toolchain.ir.store`` and
        ``toolchain.frontends.nir`` write their values.
        """
        return {
            "dt": plain(self.dt),
            "nodes": {
                name: {
                    "type": type(node).__name__,
                    "shape": [*self.shape(name)],
                    "parameters": self._parameters(name),
                }
                for name, node in self._nodes.items()
            },
            "edges": plain(self.edges),
            "provenance": plain(self.provenance),
        }

    def _line(self, name: str) -> str:
        text, sources = _listed(self._parameters(name)), self._sources(name)
        arrow = f" <- {sources}" if sources else ""
        return visible(f"{name} = {type(self[name]).__name__}({text}){arrow}", one_line=True)

    def _parameters(self, name: str) -> dict[str, str]:
        """Return the parameters of a node that differ from their defaults, as text."""
        node = self[name]
        usual = {f.name: _text(_default(f)) for f in fields(node)}
        texts = {key: _text(value) for key, value in node.parameters().items()}
        return {key: value for key, value in texts.items() if value != usual[key]}

    def _sources(self, name: str) -> str:
        """Return the names of the nodes that feed a node, with their delays."""
        return ", ".join(f"{e.pre}@-{e.delay}" if e.delay else e.pre for e in self.pre(name))

    # ---- construction and checks ----

    def _order(self) -> list[str]:
        now: nx.DiGraph[str] = nx.DiGraph()
        now.add_nodes_from(self._net)
        now.add_edges_from((a, b) for a, b, d in self._net.edges(data=True) if not d["delay"])
        try:
            return list(nx.lexicographical_topological_sort(now))
        except nx.NetworkXUnfeasible:
            loop = [str(edge[0]) for edge in nx.find_cycle(now)]
            raise GraphError(f"a loop without delay: {' -> '.join([*loop, loop[0]])}") from None

    def _add_edge(self, edge: Edge) -> None:
        for name in (edge.pre, edge.post):
            if name not in self._net:
                raise GraphError(f"edge {edge.pre} -> {edge.post}: there is no node {name!r}")
        if self._net.has_edge(edge.pre, edge.post):
            raise GraphError(f"two edges {edge.pre} -> {edge.post}")
        if edge.delay < 0:
            raise GraphError(
                f"edge {edge.pre} -> {edge.post}: delay must be >= 0, got {edge.delay}"
            )
        self._net.add_edge(edge.pre, edge.post, delay=edge.delay)

    def _verified(self) -> dict[str, Shape]:
        dt: Any = self.dt
        if dt is not None and not (isinstance(dt, int | float | np.number) and 0 < dt < inf):
            raise GraphError(f"dt must be > 0 s, got {dt!r}")
        order = self._names
        for kind in (Input, Output):
            if not self.of(kind):
                raise GraphError(f"a graph needs an {kind.__name__}")
        self._input, *others = self.of(Input)
        if others:
            raise GraphError(f"more than one Input: {', '.join(self.of(Input))}")
        for name in order:
            self._verify_fan_in(name)
        self._verify_labels()
        lost = set(order) - {self.input} - nx.descendants(self._net, self.input)
        if lost:
            raise GraphError(f"not reached from the input: {', '.join(sorted(lost))}")
        return self._infer_shapes(order)

    def _verify_labels(self) -> None:
        labels = [node.label for node in self.of(Output).values() if node.label]
        if len({*labels}) < len(labels):
            raise GraphError(f"outputs need labels that differ, got {', '.join(sorted(labels))}")

    def _verify_fan_in(self, name: str) -> None:
        node, found = self[name], self._net.in_degree(name)
        least, most = type(node).FAN_IN
        if found < least or (most is not None and found > most):
            wanted = f"{least}" if least == most else f"at least {least}"
            raise GraphError(f"{name}: {type(node).__name__} takes {wanted} inputs, has {found}")

    def _infer_shapes(self, order: list[str]) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {self.input: self.of(Input)[self.input].shape}
        waiting = [name for name in order if name != self.input]
        while waiting:
            behind_loops = []
            for name in waiting:
                source = next((e.pre for e in self.pre(name) if e.pre in shapes), None)
                if source is None:
                    behind_loops.append(name)
                else:
                    shapes[name] = self._output_shape(name, shapes[source])
            waiting = behind_loops
        for name in order:
            for edge in self.pre(name):
                self._output_shape(name, shapes[edge.pre])
        self._verify_sums(shapes)
        return shapes

    def _verify_sums(self, shapes: Mapping[str, Shape]) -> None:
        for name in shapes:
            found = {e.pre: shapes[e.pre] for e in self.pre(name)}
            if len(set(found.values())) > 1:
                raise GraphError(f"{name}: inputs of different shape: {found}")

    def _output_shape(self, name: str, given: Shape) -> Shape:
        try:
            return self[name].output_shape(given)
        except ValueError as fault:
            raise GraphError(f"{name}: {fault}") from None


def _by_end(
    names: Iterable[str], edges: Iterable[Edge], end: Literal["pre", "post"]
) -> dict[str, tuple[Edge, ...]]:
    """Return the edges of each node that have it at that end, sorted as they are given."""
    found: dict[str, list[Edge]] = {name: [] for name in names}
    for edge in edges:
        found[getattr(edge, end)].append(edge)
    return {name: tuple(of_node) for name, of_node in found.items()}


def _rebuilt(
    nodes: Mapping[str, Node],
    edges: Iterable[Edge],
    dt: float | None,
    provenance: Mapping[str, str],
) -> Graph:
    return Graph(nodes, edges, dt=dt, provenance=provenance)


def _short_parameters(parameters: Mapping[str, str], node: Node) -> dict[str, str]:
    """Return ``parameters`` with numbers to six digits, without the shape (printed separately)."""
    values = node.parameters()
    return {
        name: short(float(values[name]), 6) if np.ndim(values[name]) == 0 and ":" in text else text
        for name, text in parameters.items()
        if name != "shape"
    }


def _listed(parameters: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in parameters.items())


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _text(value: object) -> str:
    if isinstance(value, np.ndarray):
        kind = f"{value.dtype.kind}{value.dtype.itemsize * 8}"
        if value.ndim == 0:
            return f"{kind}:{value.item():.17g}" if kind[0] == "f" else f"{kind}:{value.item()}"
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:8]
        return f"{kind}{list(value.shape)}#{digest}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value)

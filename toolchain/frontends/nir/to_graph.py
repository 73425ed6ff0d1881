"""A NIR file as a Graph.

All shapes are worked out anew from the Input and the weights. NIR has sums where edges meet, the
IR has ``Add`` nodes there; NIR's ``Delay`` is the IR's delay of an edge, which ends at an
``Identity`` of the Delay's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from toolchain.arrays import Shape
from toolchain.diagnostics import GraphError, ModelFileError
from toolchain.frontends.nir.check import check
from toolchain.frontends.nir.faults import Fault, file_error
from toolchain.frontends.nir.flat import flatten
from toolchain.frontends.nir.infer import settle
from toolchain.frontends.nir.layers import LAYERS, layer
from toolchain.frontends.nir.loops import late_edges, looped
from toolchain.frontends.nir.neurons import Reading, neuron
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.own import own_graph
from toolchain.ir import Add, Edge, Graph, Identity, Input, Node, Output

__all__ = ["to_graph"]

FEATURES, TOGETHER = 2**20, 2**21
"""Most numbers that a layer may give each step, and all layers together."""
LONGEST = 2**16
"""Most steps of a Delay."""


def to_graph(
    file: NirFile,
    *,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
) -> Graph:
    """The Graph of a NIR file, checked against a direct integration of the file's equations.

    Args:
        file: as read.
        dt: length of a timestep, s.
        dialect: which framework's steps are meant; one of ``dialects.DIALECTS``.
        reset: ``subtract``, ``value`` (to v_reset), one of these with ``-late``, as snnTorch's
            ``reset_delay=True`` has it, or ``subtract-corrected``, its ``reset_delay=False``.

    Returns:
        The Graph; ``nir_dialect``, ``nir_dt`` and ``nir_reset`` in its provenance say how each was
        settled. What this toolchain wrote itself comes back as it was, unless a dialect is named.

    Raises:
        ModelFileError: what is not told is not decided by the file either, with the choices and
            what each would mean; a node has no meaning in the dialect; the graph is damaged; or
            Graph and equations differ.
    """
    if dialect is None:
        own = own_graph(file, dt, reset)
        if own is not None:
            return own
    with np.errstate(all="ignore"):  # numbers of a damaged file; they end as NaN, which is found
        return _read_in(file, dt, dialect, reset)


def _read_in(file: NirFile, dt: float | None, dialect: str | None, reset: str | None) -> Graph:
    flat = flatten(file.graph, file.where)
    nodes = {name: node for name, node in flat.nodes.items() if isinstance(node, NirNode)}
    reading = settle(nodes, file.where, dt=dt, dialect=dialect, reset=reset)
    draft = _read(nodes, flat, file.where, reading)
    said = {"framework": "NIR", "nir_version": file.version or "unknown", **reading.said}
    try:
        graph = Graph(
            draft.made, draft.joined(), dt=reading.dt, provenance={**said, **_notes(draft)}
        )
    except GraphError as fault:
        raise ModelFileError(f"{file.where}: {fault}") from None
    return check(graph, nodes, draft.late, reading, file.where)


def _notes(draft: _Draft) -> dict[str, str]:
    return {"nir_shapes": "; ".join(draft.notes)} if draft.notes else {}


def _read(nodes: Mapping[str, NirNode], flat: NirGraph, where: str, reading: Reading) -> _Draft:
    """All nodes and delays, with the Input's shape as declared or without batch and time."""
    steps = _steps(nodes, where, reading)
    held = {name for name, count in steps.items() if count}
    try:
        late = dict.fromkeys(late_edges(nodes, flat.edges, held), 1)
    except ValueError as fault:
        raise ModelFileError(f"{where}: {fault}") from None
    late |= {(pre, post): steps[post] for pre, post in flat.edges if post in held}
    (start,) = (name for name, node in nodes.items() if node.type == "Input")
    declared = _shape(nodes[start])
    drafts = [
        _Draft(nodes, flat.edges, late, reading).walk(start, declared[skipped:])
        for skipped in range(min(3, len(declared)))
    ]
    if not drafts[0].faults:
        return drafts[0]
    fitting = [draft for draft in drafts if not draft.faults]
    if len(fitting) != 1:
        raise file_error(where, drafts[0].faults)
    fitting[0].notes.append(
        f"{start} declares {list(declared)}, taken as batch and time before "
        f"{list(fitting[0].shapes[start])}"
    )
    return fitting[0]


def _shape(node: NirNode) -> Shape:
    return tuple(int(size) for size in np.asarray(node.fields["shape"]).reshape(-1))


def _steps(nodes: Mapping[str, NirNode], where: str, reading: Reading) -> dict[str, int]:
    """Whole steps of each ``Delay``."""
    delays = {name: node for name, node in nodes.items() if node.type == "Delay"}
    row = reading.dialect
    if delays and "Delay" in row.refused:
        reason = f"in dialect {row.name!r}: Delay: {row.refused['Delay']}"
        raise file_error(where, [(name, reason) for name in delays])
    found = {name: _delay(node, reading) for name, node in delays.items()}
    faults = [(name, text) for name, text in found.items() if isinstance(text, str)]
    if faults:
        raise file_error(where, faults)
    return {name: count for name, count in found.items() if isinstance(count, int)}


def _delay(node: NirNode, reading: Reading) -> int | str:
    """Whole steps, or what is wrong with them."""
    delay = np.asarray(node.fields["delay"], dtype=np.float64).reshape(-1)
    if np.any(delay != delay[0]):
        return (
            f"delays of {delay.min():g} to {delay.max():g} s; takes one delay for all its neurons"
        )
    assert reading.dt is not None
    steps = float(delay[0]) / reading.dt
    count = round(steps)
    if abs(steps - count) > 1e-5 * max(1, count) or not 0 <= count <= LONGEST:
        return (
            f"a delay of {delay[0]:g} s is {steps:g} steps of {reading.dt:g} s; takes whole ones "
            f"from 0 to {LONGEST}"
        )
    return count


@dataclass(slots=True, eq=False)
class _Draft:
    """Nodes made so far from one shape of the Input, and what was wrong."""

    nodes: Mapping[str, NirNode]
    edges: tuple[tuple[str, str], ...]
    late: Mapping[tuple[str, str], int]
    reading: Reading
    made: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    given: int = 0

    def walk(self, start: str, shape: Shape) -> _Draft:
        """The draft itself, with all that can be reached."""
        returning = looped(self.nodes, self.edges)
        after: dict[str, list[str]] = {name: [] for name in self.nodes}
        for pre, post in self.edges:
            after[pre].append(post)
        self.made[start], self.shapes[start] = Input(shape=shape), shape
        if prod(shape) > FEATURES:
            self.faults.append((start, f"{prod(shape)} numbers a step; takes at most {FEATURES}"))
            return self
        reached, waiting = {start}, [start]
        while waiting:
            pre = waiting.pop(0)
            for name in after[pre]:
                if name not in reached:
                    reached.add(name)
                    self.take(name, self.shapes[pre], name in returning)
                    waiting += [name] if name in self.shapes else []
        return self

    def take(self, name: str, shape: Shape, returns: bool) -> None:
        """The node of that name, which receives ``shape``."""
        node = self.nodes[name]
        try:
            made = self.node(node, shape, returns)
            given = made.output_shape(shape)
            self.given += prod(given)
            if prod(given) > FEATURES or self.given > TOGETHER:
                raise ValueError(
                    f"gives {prod(given)} numbers a step; takes at most {FEATURES} of a layer and "
                    f"{TOGETHER} of all"
                )
        except ValueError as fault:
            self.faults.append((name, str(fault)))
            return
        self.made[name], self.shapes[name] = made, given
        self.note(name, node, shape)

    def node(self, node: NirNode, shape: Shape, returns: bool) -> Node:
        if node.type == "Output":
            return Output()
        if node.type == "Delay":
            return Identity(was="Delay")
        if node.type in LAYERS:
            return layer(node, shape)
        return neuron(node, shape, self.reading, looped=returns)

    def note(self, name: str, node: NirNode, shape: Shape) -> None:
        """A shape that the file declares and that is not the one worked out."""
        key = {"Output": "shape", "Conv1d": "input_shape", "Conv2d": "input_shape"}.get(node.type)
        if key is None or key not in node.fields:
            return
        declared = tuple(np.asarray(node.fields[key]).reshape(-1).tolist())
        true = shape if node.type == "Output" else shape[1:]
        if declared != true:
            self.notes.append(f"{name} declares {list(declared)}, has {list(true)}")

    def joined(self) -> list[Edge]:
        """The edges of the Graph, with an ``Add`` where several meet."""
        before: dict[str, list[str]] = {}
        for pre, post in self.edges:
            before.setdefault(post, []).append(pre)
        found = []
        for name, sources in before.items():
            entry = name
            if len(sources) > 1:
                entry = self.free(f"{name}.add")
                self.made[entry] = Add()
                found.append(Edge(entry, name))
            found += [Edge(pre, entry, self.late.get((pre, name), 0)) for pre in sources]
        return found

    def free(self, name: str) -> str:
        """``name``, or with a number behind it if it is taken."""
        count, free = 1, name
        while free in self.made:
            count += 1
            free = f"{name}#{count}"
        return free

"""Conversion of a NIR file to a Graph.

All shapes are recomputed from the Input and the weights. Where edges meet, NIR sums implicitly and
the IR has an ``Add`` node; a ``Delay`` of NIR becomes the delay of an edge in the IR, which ends at
an ``Identity`` with the name of the Delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from toolchain.arrays import Shape
from toolchain.diagnostics import GraphError, ModelFileError
from toolchain.frontends.nir.check import check
from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.flat import flatten
from toolchain.frontends.nir.infer import LOG, resolve
from toolchain.frontends.nir.layers import LAYERS, layer
from toolchain.frontends.nir.loops import recurrent_edges, recurrent_nodes
from toolchain.frontends.nir.neurons import Reading, neuron
from toolchain.frontends.nir.nodes import NirEdge, NirFile, NirNode
from toolchain.frontends.nir.own import own_graph
from toolchain.frontends.nir.repair import repaired
from toolchain.frontends.nir.spyx import as_run
from toolchain.ir import Add, Edge, Graph, Identity, Input, Node, Output

__all__ = ["to_graph"]

MAX_FEATURES, MAX_TOTAL = 2**20, 2**21
"""Maximum number of output values per step, of a layer and of all layers."""
MAX_DELAY = 2**16
"""Maximum number of steps of a Delay."""


def to_graph(
    file: NirFile,
    *,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
) -> Graph:
    """Convert a NIR file to a Graph, checked against direct integration of its equations.

    Args:
        file: the file as read.
        dt: length of a timestep, s.
        dialect: the framework whose update rules apply; one of ``dialects.DIALECTS``.
        reset: ``subtract``, ``value`` (to v_reset), one of these with ``-late`` for snnTorch's
            ``reset_delay=True``, or ``subtract-corrected`` for its ``reset_delay=False``.

    Returns:
        The Graph; ``nir_dialect``, ``nir_dt`` and ``nir_reset`` in its provenance state how each
        was chosen. Files written by this toolchain are restored exactly unless a dialect is given.

    Raises:
        ModelFileError: dialect, dt or reset is neither given nor determined by the file (the
            message lists the choices and their effect); the dialect does not support a node; the
            graph is damaged; or Graph and equations differ.

    Example:
        >>> import numpy as np
        >>> from toolchain.frontends.nir import NirFile, NirGraph, NirNode, to_graph
        >>> shape = {"shape": np.array([1])}
        >>> fields = {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5}
        >>> nodes = {
        ...     "input": NirNode(type="Input", fields=shape),
        ...     "lif": NirNode(type="LIF", fields={k: np.array([v]) for k, v in fields.items()}),
        ...     "output": NirNode(type="Output", fields=shape),
        ... }
        >>> edges = (("input", "lif"), ("lif", "output"))
        >>> file = NirFile(graph=NirGraph(nodes=nodes, edges=edges), version=None, where="example")
        >>> graph = to_graph(file, dialect="euler", dt=1e-3, reset="subtract")
        >>> float(graph["lif"].alpha_mem), round(float(graph["lif"].gain), 6)
        (0.95, 0.05)
        >>> graph.provenance["nir_dialect"]
        'euler (given)'
    """
    if dialect is None:
        own = own_graph(file, dt, reset)
        if own is not None:
            return own
    with np.errstate(all="ignore"):  # damaged files: overflow becomes NaN, which the check reports
        return _read_dialect(file, dt, dialect, reset)


def _read_dialect(file: NirFile, dt: float | None, dialect: str | None, reset: str | None) -> Graph:
    whole, repairs = repaired(file.graph, file.where)
    flat = flatten(whole, file.where)
    nodes = {name: node for name, node in flat.nodes.items() if isinstance(node, NirNode)}
    reading = resolve(nodes, file.where, dt=dt, dialect=dialect, reset=reset)
    edges, notes = flat.edges, _repairs(file, repairs)
    if reading.dialect.name == "spyx":
        nodes, edges, changes = as_run(nodes, edges, file.where)
        notes |= {"nir_spyx": "; ".join(changes)} if changes else {}
    draft = _build_draft(nodes, edges, file.where, reading)
    provenance = {
        "framework": "NIR",
        "nir_version": file.version or "unknown",
        **reading.provenance,
    }
    try:
        graph = Graph(
            draft.ir_nodes,
            draft.ir_edges(),
            dt=reading.dt,
            provenance={**provenance, **notes, **_notes(draft)},
        )
    except GraphError as fault:
        raise ModelFileError(f"{file.where}: {fault}") from None
    return check(graph, nodes, draft.delays, reading, file.where)


def _repairs(file: NirFile, structure: tuple[str, ...]) -> dict[str, str]:
    """Return the provenance entry of all repairs, and log them."""
    text = "; ".join([*file.repairs, *structure])
    if not text:
        return {}
    LOG.warning("%s: repaired: %s", file.where, text)
    return {"repairs": text}


def _notes(draft: _Draft) -> dict[str, str]:
    return {"nir_shapes": "; ".join(draft.notes)} if draft.notes else {}


def _build_draft(
    nodes: Mapping[str, NirNode], edges: tuple[NirEdge, ...], where: str, reading: Reading
) -> _Draft:
    """Build all nodes and delays, with the Input's declared shape or without batch and time."""
    steps = _steps(nodes, where, reading)
    delay_nodes = {name for name, count in steps.items() if count}
    try:
        delays = dict.fromkeys(recurrent_edges(nodes, edges, delay_nodes), 1)
    except ValueError as fault:
        raise ModelFileError(f"{where}: {fault}") from None
    delays |= {(pre, post): steps[post] for pre, post in edges if post in delay_nodes}
    (input_name,) = (name for name, node in nodes.items() if node.type == "Input")
    declared = _shape(nodes[input_name])
    drafts = [
        _Draft(nodes, edges, delays, reading).build(input_name, declared[skipped:])
        for skipped in range(min(3, len(declared)))
    ]
    if not drafts[0].faults:
        return drafts[0]
    fitting = [draft for draft in drafts if not draft.faults]
    if len(fitting) != 1:
        raise file_error(where, drafts[0].faults)
    fitting[0].notes.append(
        f"{input_name} declares {list(declared)}, read as batch and time before "
        f"{list(fitting[0].shapes[input_name])}"
    )
    return fitting[0]


def _shape(node: NirNode) -> Shape:
    return tuple(int(size) for size in np.asarray(node.fields["shape"]).reshape(-1))


def _steps(nodes: Mapping[str, NirNode], where: str, reading: Reading) -> dict[str, int]:
    """Return the whole steps of each ``Delay``."""
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
    """Return whole steps, or an error text."""
    delay = np.asarray(node.fields["delay"], dtype=np.float64).reshape(-1)
    if np.any(delay != delay[0]):
        return (
            f"delays of {delay.min():g} to {delay.max():g} s; all neurons must have the same delay"
        )
    assert reading.dt is not None
    steps = float(delay[0]) / reading.dt
    count = round(steps)
    if abs(steps - count) > 1e-5 * max(1, count) or not 0 <= count <= MAX_DELAY:
        return (
            f"a delay of {delay[0]:g} s is {steps:g} steps of {reading.dt:g} s; expected an "
            f"integer from 0 to {MAX_DELAY}"
        )
    return count


@dataclass(slots=True, eq=False)
class _Draft:
    """The IR nodes for one shape of the Input, and the problems found."""

    nodes: Mapping[str, NirNode]
    edges: tuple[tuple[str, str], ...]
    delays: Mapping[tuple[str, str], int]
    reading: Reading
    ir_nodes: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    faults: list[NirFault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    total_values: int = 0

    def build(self, input_name: str, shape: Shape) -> _Draft:
        """Build all nodes that can be reached and return the draft itself."""
        recurrent = recurrent_nodes(self.nodes, self.edges)
        successors: dict[str, list[str]] = {name: [] for name in self.nodes}
        for pre, post in self.edges:
            successors[pre].append(post)
        self.ir_nodes[input_name], self.shapes[input_name] = Input(shape=shape), shape
        if prod(shape) > MAX_FEATURES:
            self.faults.append(
                (input_name, f"{prod(shape)} values per step, the limit is {MAX_FEATURES}")
            )
            return self
        reached, queue = {input_name}, [input_name]
        while queue:
            pre = queue.pop(0)
            for name in successors[pre]:
                if name not in reached:
                    reached.add(name)
                    self.add(name, self.shapes[pre], name in recurrent)
                    queue += [name] if name in self.shapes else []
        return self

    def add(self, name: str, shape: Shape, recurrent: bool) -> None:
        """Add the node ``name``, whose input has ``shape``."""
        node = self.nodes[name]
        try:
            ir_node = self.node(name, node, shape, recurrent)
            output_shape = ir_node.output_shape(shape)
            self.total_values += prod(output_shape)
            if prod(output_shape) > MAX_FEATURES or self.total_values > MAX_TOTAL:
                raise ValueError(
                    f"outputs {prod(output_shape)} values per step; the limit is {MAX_FEATURES} "
                    f"per layer and {MAX_TOTAL} in total"
                )
        except ValueError as fault:
            self.faults.append((name, str(fault)))
            return
        self.ir_nodes[name], self.shapes[name] = ir_node, output_shape
        self.note(name, node, shape)

    def node(self, name: str, node: NirNode, shape: Shape, recurrent: bool) -> Node:
        if node.type == "Output":
            outputs = [each for each, other in self.nodes.items() if other.type == "Output"]
            several = len(outputs) > 1
            return Output(label=name, index=outputs.index(name)) if several else Output()
        if node.type == "Delay":
            return Identity(was="Delay")
        if node.type in LAYERS:
            return layer(node, shape)
        return neuron(node, shape, self.reading, recurrent=recurrent)

    def note(self, name: str, node: NirNode, shape: Shape) -> None:
        """Record a declared shape that differs from the computed one."""
        key = {"Output": "shape", "Conv1d": "input_shape", "Conv2d": "input_shape"}.get(node.type)
        if key is None or key not in node.fields:
            return
        declared = tuple(np.asarray(node.fields[key]).reshape(-1).tolist())
        actual = shape if node.type == "Output" else shape[1:]
        if declared != actual:
            self.notes.append(f"{name} declares {list(declared)}, has {list(actual)}")

    def ir_edges(self) -> list[Edge]:
        """Return the edges of the Graph, with an ``Add`` where several meet."""
        predecessors: dict[str, list[str]] = {}
        for pre, post in self.edges:
            predecessors.setdefault(post, []).append(pre)
        found = []
        for name, sources in predecessors.items():
            entry = name
            if len(sources) > 1:
                entry = self.unused_name(f"{name}.add")
                self.ir_nodes[entry] = Add()
                found.append(Edge(entry, name))
            found += [Edge(pre, entry, self.delays.get((pre, name), 0)) for pre in sources]
        return found

    def unused_name(self, name: str) -> str:
        """Return ``name``, with a number appended if it is in use."""
        count, unused_name = 1, name
        while unused_name in self.ir_nodes:
            count += 1
            unused_name = f"{name}#{count}"
        return unused_name

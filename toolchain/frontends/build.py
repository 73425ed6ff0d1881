"""From a recorded run to a Graph: each call on the way to the output becomes nodes, or a problem.

Problems are collected and the walk goes on behind them as long as shapes allow, so that a user
sees all of them at once. What cannot be said in the IR is never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isclose

from torch import Tensor
from torch import nn as torch_nn

from toolchain import nn
from toolchain.diagnostics import ExtractError
from toolchain.frontends.adapter import Axes, Layer, UnsupportedError
from toolchain.frontends.axes import Grid, batch_and_time, check_axes
from toolchain.frontends.functions import ADD, RESHAPE, unsupported
from toolchain.frontends.record import Call, Run, Value
from toolchain.ir import Add, Array, Edge, Flatten, Graph, Input, Node, Output

__all__ = ["Built", "build"]


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Where a tensor is in the graph, and whether it is (batch, time, ...) or in rows."""

    node: str
    timed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Built:
    """A Graph with what the model gave at the places that can be compared.

    Attributes:
        graph: the graph.
        sample: what went in, (batch, time, *features).
        layers: what each layer with state gave, by node name, likewise.
        output: what the model returned, likewise.
    """

    graph: Graph
    sample: Array
    layers: dict[str, Array]
    output: Array


def build(run: Run, dt: float | None, provenance: dict[str, str]) -> Built:
    """The Graph of a run.

    Raises:
        ExtractError: all that the IR cannot say, at once.
    """
    path = _path(run)
    try:
        grid = batch_and_time(path, run.sample.shape)
    except UnsupportedError as fault:
        # shapes behind something unsupported say nothing, so that is told instead
        raise _refused(list(_hopeless(path)) or [str(fault)]) from None
    walks = [_Walk(run, grid, timed).over(path) for timed in grid.readings(run.sample.shape)]
    walk = min(walks, key=lambda w: len(w.problems))
    if walk.problems:
        raise _refused(walk.problems)
    return walk.built(dt, {**provenance, **_unused(run, path)})


def _refused(problems: Sequence[str]) -> ExtractError:
    if len(problems) == 1:
        return ExtractError(problems[0])
    return ExtractError("\n  ".join([f"{len(problems)} problems:", *problems]))


def _hopeless(path: Sequence[Call]) -> Iterator[str]:
    """What is unsupported whatever its shapes."""
    for call in path:
        reason = call.layer if isinstance(call.layer, str) else None
        if call.module is None:
            reason = unsupported(call)
        if reason is not None:
            yield f"{call}: {reason}"


def _path(run: Run) -> list[Call]:
    """The calls that the output depends on, in the order in which they happened."""
    wanted: set[Call] = set()
    waiting = [run.output.call]
    while waiting:
        call = waiting.pop()
        if call is not None and call not in wanted:
            wanted.add(call)
            waiting += [value.call for value in call.inputs]
    return [call for call in run.calls if call in wanted]


def _unused(run: Run, path: Sequence[Call]) -> dict[str, str]:
    used = {call.name for call in path if call.module is not None}
    unused = [
        name
        for name in run.layers
        if name and name not in used and not any(name.startswith(f"{n}.") for n in run.layers if n)
    ]
    return {"unused_layers": ", ".join(unused)} if unused else {}


@dataclass(slots=True, eq=False)
class _Walk:
    """Over the calls of a run, with the nodes made so far."""

    run: Run
    grid: Grid
    timed: bool
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    signals: dict[Value, Signal | None] = field(default_factory=dict)
    layers: dict[str, Value] = field(default_factory=dict)
    dts: dict[str, float] = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)
    reserved: set[str] = field(default_factory=set)
    called: dict[torch_nn.Module, int] = field(default_factory=dict)

    def over(self, path: Sequence[Call]) -> _Walk:
        """The walk itself."""
        self.problems += self.run.problems
        self.reserved = {call.name for call in path if call.module is not None}
        for call in self.run.calls:
            if call.module is not None:
                self.called[call.module] = self.called.get(call.module, 0) + 1
        entry = Input(shape=self.run.sample.shape[2 if self.timed else 1 :])
        start = self._after([], self._name("input"), entry, self.timed)
        self.signals[self.run.sample] = start
        for call in path:
            self._take(call)
        end = self.signals[self.run.output]
        if end is not None:
            self._after([end], self._name("output"), Output(), end.timed)
        return self

    def _take(self, call: Call) -> None:
        try:
            signal = self._signal(call)
        except ValueError as fault:
            problem = f"{call}: {fault}"
            if problem not in self.problems:
                self.problems.append(problem)
            signal = None
        for value in call.outputs:
            self.signals[value] = signal or self._guess(value)

    def _guess(self, value: Value) -> Signal | None:
        """Behind a problem: a reading of the shape to go on with, without a node."""
        readings = self.grid.readings(value.shape)
        return Signal("", readings[0]) if readings else None

    def _signal(self, call: Call) -> Signal | None:
        if isinstance(call.layer, str):
            raise UnsupportedError(call.layer)
        if not call.inputs:
            raise UnsupportedError("is not fed from the sample")
        inputs = [self.signals[value] for value in call.inputs]
        known = [signal for signal in inputs if signal is not None]
        if len(known) < len(inputs):
            return None  # behind something that was refused; it is told there
        return self._layer(call, known) if call.layer else self._function(call, known)

    # ---- layers ----

    def _layer(self, call: Call, inputs: list[Signal]) -> Signal:
        layer, module = call.layer, call.module
        assert isinstance(layer, Layer)
        assert module is not None
        if layer.stateful and self.called[module] > 1:
            raise UnsupportedError(
                f"is called {self.called[module]} times in one forward; it has state, so each "
                "call needs a layer of its own"
            )
        axes = layer.axes_of(module)
        if axes is Axes.RESHAPE:
            return self._reshape(call, inputs[0])
        if isinstance(module, nn.Merge):
            return self._sum(call, inputs, call.name)
        (signal,), (value,) = inputs, call.inputs
        check_axes(axes, value.shape, signal.timed)
        name = self._name(call.name, call)
        fragment = layer.adapter(name, module, value.shape[2 if signal.timed else 1 :])
        self.nodes |= fragment.nodes
        self.edges += fragment.edges
        self._join(signal, fragment.entry)
        if fragment.dt is not None:
            self.dts[name] = fragment.dt
        if layer.stateful:
            self.layers[name] = call.outputs[0]
        return Signal(fragment.exit, signal.timed)

    def _reshape(self, call: Call, signal: Signal) -> Signal:
        given, made = call.inputs[0].shape, call.outputs[0].shape
        if isinstance(call.module, torch_nn.Flatten):
            found = self.grid.flattened(call.module, given, signal.timed)
        else:
            found = self.grid.reshaped(given, signal.timed, made)
        if found is None:
            raise UnsupportedError(
                f"makes {made} of {given}; supported is flattening all features, and joining "
                f"or splitting batch {self.grid.batch} and time {self.grid.time}"
            )
        timed, flat = found
        if not flat and call.module is not None:
            self.moved.append(f"{call.name} ({type(call.module).__name__})")
        if not flat:
            return Signal(signal.node, timed)
        name = call.name if call.module is not None else self._inside(call, "flatten")
        return self._after([signal], self._name(name, call), Flatten(), timed)

    # ---- functions ----

    def _function(self, call: Call, inputs: list[Signal]) -> Signal:
        reason = unsupported(call)
        if reason is not None:
            raise UnsupportedError(reason)
        if call.function in ADD:
            return self._sum(call, inputs, self._inside(call, "add"))
        return self._reshape(call, inputs[0]) if call.function in RESHAPE else inputs[0]

    def _sum(self, call: Call, inputs: list[Signal], name: str) -> Signal:
        others = [item for item in call.others if item is not None]
        if len(inputs) == 1 and all(isinstance(x, int) and x == 0 for x in others):
            return inputs[0]  # what Python's sum() starts with
        if others or len(inputs) != 2:
            things = ", ".join("a tensor" if isinstance(x, Tensor) else repr(x) for x in others)
            raise UnsupportedError(
                f"adds {things or 'something'} that no layer of the network gives"
            )
        shapes = {value.shape for value in (*call.inputs, *call.outputs)}
        if len(shapes) > 1:
            raise UnsupportedError(
                f"adds different shapes: {', '.join(str(v.shape) for v in call.inputs)}"
            )
        if inputs[0].timed != inputs[1].timed:
            raise UnsupportedError("adds (batch, time, ...) to (batch * time, ...)")
        if inputs[0].node and inputs[0].node == inputs[1].node:
            raise UnsupportedError("adds a tensor to itself; scale the weights before it instead")
        return self._after(inputs, self._name(name, call), Add(), inputs[0].timed)

    # ---- names and edges ----

    def _inside(self, call: Call, what: str) -> str:
        return f"{call.name}.{what}" if call.name else what

    def _name(self, name: str, call: Call | None = None) -> str:
        """``name``, or with a number behind it if it is taken; a layer's own name is its first."""
        own = call is not None and call.module is not None
        taken = {*self.nodes} if own else {*self.nodes, *self.reserved}
        count, free = 1, name
        while free in taken:
            count += 1
            free = f"{name}#{count}"
        return free

    def _join(self, signal: Signal, post: str) -> None:
        if signal.node:
            self.edges.append(Edge(signal.node, post))

    def _after(self, inputs: list[Signal], name: str, node: Node, timed: bool) -> Signal:
        self.nodes[name] = node
        for signal in inputs:
            self._join(signal, name)
        return Signal(name, timed)

    # ---- what comes of it ----

    def built(self, dt: float | None, provenance: dict[str, str]) -> Built:
        """Graph and recorded values."""
        if self.moved:
            provenance = {**provenance, "left_out": ", ".join(self.moved)}
        graph = Graph(self.nodes, self.edges, dt=self._dt(dt), provenance=provenance)
        return Built(
            graph=graph,
            sample=self._timed(self.run.sample),
            layers={name: self._timed(value) for name, value in self.layers.items()},
            output=self._timed(self.run.output),
        )

    def _timed(self, value: Value) -> Array:
        signal = self.signals[value]
        assert signal is not None
        features = value.shape[2 if signal.timed else 1 :]
        return value.numbers.numpy().reshape(*self.grid.lead(True), *features)

    def _dt(self, given: float | None) -> float | None:
        claims = {f"layer {name!r}": dt for name, dt in self.dts.items()}
        if given is not None:
            claims = {"the argument dt": given, **claims}
        if not claims:
            return None
        (first, dt), *rest = claims.items()
        for other, value in rest:
            if not isclose(dt, value, rel_tol=1e-9):
                raise ExtractError(f"{first} says dt = {dt:g} s, {other} says {value:g} s")
        return dt

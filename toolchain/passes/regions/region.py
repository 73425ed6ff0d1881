"""The affine nodes between a layer of neurons and the layers that drive it, found from its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeAlias, TypeVar

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import (
    Add,
    AvgPool2d,
    Flatten,
    Graph,
    Input,
    Linear,
    Membrane,
    Sensor,
    SumPool2d,
)
from toolchain.passes.regions.linear import AFFINE, linear_part, shift_of
from toolchain.passes.weights import WEIGHTS
from toolchain.runs.evaluate import evaluate

__all__ = [
    "Delayed",
    "Region",
    "dense_size",
    "find_region",
    "is_plain",
    "matrix",
    "shift",
    "source_of",
]

Delayed: TypeAlias = tuple[str, int]
"""A node, and the timesteps from its output to the end of the region."""
V = TypeVar("V")
AT_ONCE = 2**20
"""Numbers of one layer that are computed at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """Affine nodes that lead to a layer.

    Attributes:
        graph: the network.
        end: the layer.
        steps: the nodes with their delays, producers first.
        sources: the layers, or pools of their maps, that the nodes read, with their delays.
    """

    graph: Graph
    end: str
    steps: tuple[Delayed, ...]
    sources: tuple[Delayed, ...]

    def inputs(self, at: Delayed) -> tuple[Delayed, ...]:
        """Return what a node reads."""
        return tuple((e.pre, e.delay + at[1]) for e in self.graph.pre(at[0]))

    @property
    def last(self) -> Delayed:
        """The node that the layer reads, or the source itself."""
        (edge,) = self.graph.pre(self.end)
        return edge.pre, edge.delay

    def walk(self, start: Callable[[Delayed], V], step: Callable[[Delayed, list[V]], V]) -> V:
        """Return the value of the last node, from those of the sources on."""
        values = {source: start(source) for source in self.sources}
        for at in self.steps:
            values[at] = step(at, [values[before] for before in self.inputs(at)])
        return values[self.last]


def find_region(graph: Graph, end: str) -> Region | None:
    """Return the region that ends at a layer; None if it has a loop of its own.

    Sum pools and averages of whole maps that read a source stay with it, as one source, where the
    network reads that source only once.
    """
    region = _found(graph, end, lambda name: _is_pool_of_source(graph, name))
    if region is not None:
        origins = [(source_of(graph, name), delay) for name, delay in region.sources]
        if len(set(origins)) < len(origins):
            region = _found(graph, end, lambda name: False)
    return region


def _found(graph: Graph, end: str, is_source: Callable[[str], bool]) -> Region | None:
    steps: dict[Delayed, None] = {}
    sources: dict[Delayed, None] = {}
    active: set[str] = set()

    def visit(at: Delayed) -> bool:
        name, delay = at
        if not isinstance(graph[name], AFFINE) or is_source(name):
            sources[at] = None
            return True
        if at in steps:
            return True
        if name in active:
            return False
        active.add(name)
        sound = all(visit((edge.pre, edge.delay + delay)) for edge in graph.pre(name))
        active.discard(name)
        steps[at] = None
        return sound

    (edge,) = graph.pre(end)
    sound = visit((edge.pre, edge.delay))
    found = Region(graph=graph, end=end, steps=tuple(steps), sources=tuple(sources))
    return found if sound else None


def _is_pool_of_source(graph: Graph, name: str) -> bool:
    """Return whether a node pools the map of one source, directly or by several plain pools."""
    if not is_plain_pool(graph, name):
        return False
    (edge,) = graph.pre(name)
    source = not isinstance(graph[edge.pre], AFFINE)
    return not edge.delay and (source or _is_pool_of_source(graph, edge.pre))


def is_plain_pool(graph: Graph, name: str) -> bool:
    """Return whether a node sums or averages windows as the connections between layers do.

    These are squares next to each other of spikes of neurons, or any windows next to each other
    of a sensor's events.
    """
    node = graph[name]
    if not isinstance(node, SumPool2d) or node.kernel != node.stride:
        return False
    pooled = lambda one: isinstance(graph[one], (Add, SumPool2d))  # noqa: E731
    origins = [graph[origin] for origin, _ in _through(graph, name, pooled)]
    square = node.kernel[0] == node.kernel[1]
    return not any(isinstance(origin, Input) for origin in origins) and (
        square or all(isinstance(origin, Sensor) for origin in origins)
    )


def source_of(graph: Graph, name: str) -> str:
    """Return the layer whose map a node pools."""
    while isinstance(graph[name], SumPool2d):
        name = graph.before(name)
    return name


# ---- plain regions ----


def is_plain(graph: Graph, end: str) -> bool:
    """Return whether one weight, or a sum of weights, drives a layer, each for it alone.

    A plain weight reads one or several layers: their maps, added up and pooled in squares, and a
    dense one these flattened. No two paths connect the same layers with the same delay.
    """
    pairs: list[Delayed] = []
    for name, delay in _through(graph, end, lambda one: isinstance(graph[one], Add)):
        if not isinstance(graph[name], WEIGHTS) or _ends(graph, name) != {end}:
            return False
        for source, before in _read_by(graph, name):
            if isinstance(graph[source], AFFINE):
                return False
            pairs.append((source, before + delay))
    return len(set(pairs)) == len(pairs)


def _read_by(graph: Graph, weight: str) -> Iterator[Delayed]:
    """Yield what a weight reads through sums, plain pools and, if it is dense, a flatten."""
    (edge,) = graph.pre(weight)
    flat = isinstance(graph[weight], Linear) and isinstance(graph[edge.pre], Flatten)
    first, delay = (edge.pre, edge.delay) if flat else (weight, 0)

    def passes(name: str) -> bool:
        mean = isinstance(graph[name], AvgPool2d)
        return isinstance(graph[name], Add) or (is_plain_pool(graph, name) and not mean)

    for source, late in _through(graph, first, passes):
        yield source, late + delay


def _through(
    graph: Graph, name: str, passes: Callable[[str], bool], passed: tuple[str, ...] = ()
) -> Iterator[Delayed]:
    """Yield the nodes that feed ``name`` through those that pass, with the delay of the path.

    A node that feeds itself, some timesteps later, is yielded itself.
    """
    for edge in graph.pre(name):
        if edge.pre not in passed and passes(edge.pre):
            for source, delay in _through(graph, edge.pre, passes, (*passed, edge.pre)):
                yield source, delay + edge.delay
        else:
            yield edge.pre, edge.delay


def _ends(graph: Graph, name: str) -> set[str]:
    """Return the nodes other than sums that read a node, directly or through sums."""
    found: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        for edge in graph.post(waiting.pop()):
            if not isinstance(graph[edge.post], Add):
                found.add(edge.post)
            elif edge.post not in seen:
                seen.add(edge.post)
                waiting.append(edge.post)
    return found


def dense_size(graph: Graph, name: str) -> tuple[int, int] | None:
    """Return rows and columns of one matrix for the region of an affine node.

    None for a node that leads to no neurons, or is part of a loop.

    >>> from toolchain.ir import Input, Neuron, Output, Permute
    >>> nodes = {"input": Input(shape=(2, 64, 64)), "turn": Permute(axes=(0, 2, 1))}
    >>> nodes |= {"if": Neuron(shape=(2, 64, 64), v_threshold=1.0), "output": Output()}
    >>> dense_size(Graph.chain(nodes), "turn")
    (8192, 8192)
    """
    waiting, seen = [name], {name}
    while waiting:
        one = waiting.pop()
        if isinstance(graph[one], Membrane):
            region = find_region(graph, one)
            columns = sum(prod(graph.shape(pre)) for pre, _ in region.sources) if region else 0
            return (prod(graph.input_shape_of(one)), columns) if region else None
        if isinstance(graph[one], AFFINE):
            after = [edge.post for edge in graph.post(one) if edge.post not in seen]
            waiting, seen = waiting + after, seen | {*after}
    return None


# ---- values of a region ----


def shift(region: Region) -> dict[int, Array]:
    """Return what a region adds to its end in each timestep, by the delay after which it starts."""
    graph = region.graph

    def step(at: Delayed, values: list[dict[int, Array]]) -> dict[int, Array]:
        node = linear_part(graph[at[0]])
        found: dict[int, Array] = {}
        for value in values:
            for delay, one in value.items():
                alone = one if isinstance(node, Add) else evaluate(node, [one[None, None]])[0, 0]
                found[delay] = found.get(delay, 0.0) + alone
        own = shift_of(graph[at[0]], graph.input_shape_of(at[0]))
        if own is not None and np.any(own):
            found[at[1]] = found.get(at[1], 0.0) + own
        return found

    return region.walk(lambda _: {}, step)


def matrix(region: Region, source: Delayed) -> Array:
    """Return the weights (features of the end, features of the source), some columns at a time."""
    shape = region.graph.shape(source[0])
    columns = prod(shape)
    widest = max([columns, *(prod(region.graph.shape(name)) for name, _ in region.steps)])
    chunk = max(1, AT_ONCE // widest)
    parts = []
    for start in range(0, columns, chunk):
        units = np.eye(min(chunk, columns - start), columns, start)
        parts.append(_response(region, source, units.reshape(1, -1, *shape)))
    return np.concatenate(parts).T


def _response(region: Region, source: Delayed, x: Array) -> Array:
    """Return the outputs (steps, features) for inputs (1, steps, *shape) of one source alone."""
    graph = region.graph

    def step(at: Delayed, values: list[Array | None]) -> Array | None:
        known = [value for value in values if value is not None]
        return evaluate(linear_part(graph[at[0]]), known) if known else None

    found = region.walk(lambda at: x if at == source else None, step)
    assert found is not None, "every source of a region reaches its end"
    return found.reshape(x.shape[1], -1)

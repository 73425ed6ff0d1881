"""One affine map in place of everything linear between two layers of neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias, TypeVar

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir import (
    Add,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Flatten,
    Graph,
    Linear,
    Membrane,
    Node,
    Reshape,
    SumPool2d,
)
from toolchain.passes.canonicalize import drop_identities
from toolchain.passes.neurons import reshaped
from toolchain.passes.regions.draft import Draft
from toolchain.passes.regions.linear import WEIGHTS, View
from toolchain.passes.regions.region import Delayed, Region, find_region, is_plain, matrix, shift
from toolchain.passes.regions.window import Window, map_of

__all__ = ["MOST_WEIGHTS", "merge_regions"]

MOST_WEIGHTS = 2**24
"""Most numbers of a weight that is computed: 128 MiB in float64."""

V = TypeVar("V")
Views: TypeAlias = dict[Delayed, View]
"""Contribution of each source, as a convolution of its map."""


def merge_regions(graph: Graph, *, most: int = MOST_WEIGHTS) -> Graph:
    """Replace all affine nodes between layers of neurons by one weight for each pair of layers.

    A region between neurons, or from the input to the first of them, may hold any nodes without
    state: what it computes of each layer that it reads is a convolution if it can be written as
    one, and else a dense matrix. Weights that read several layers alike stay one weight, which
    reads their sum. Neurons are given the shape of the convolution's map, or one axis before a
    dense matrix, and what reads them is reshaped, unless that does nothing.

    Regions that are one weight, or a sum of weights with sources of their own, are not changed: a
    weight reads layers, their maps added up and pooled in squares, and flattened if it is dense.
    Not merged either: weights or matrices of more than ``most`` numbers, which are never computed;
    constants that act only after some timesteps; loops without neurons.

    Ensures: the response is unchanged in exact arithmetic, and exactly if all numbers are whole.
    A weight has the name of the last one that it contains. A constant that differs within a
    channel of a convolution, as a shift before zero padding gives it, is a bias of the neurons.

    >>> from toolchain.ir import Input, Neuron, Output, Scale
    >>> nodes = {"input": Input(shape=(1, 4, 4)), "conv": Conv2d(weight=[[[[1.0, 2.0]]]])}
    >>> nodes |= {"pool": SumPool2d(kernel=(4, 3), stride=(4, 3)), "flat": Flatten()}
    >>> nodes |= {"lif": Neuron(shape=(1,), v_threshold=1.0), "output": Output()}
    >>> merged = merge_regions(Graph.chain(nodes))
    >>> list(merged.nodes), merged["conv"].weight.reshape(4, 4).tolist()[0]
    (['input', 'input.flatten', 'conv', 'lif', 'output'], [1.0, 3.0, 3.0, 2.0])
    """
    draft = Draft.of(graph)
    like = graph
    for name in graph.of(Membrane):
        if not is_plain(graph, name):
            region = find_region(graph, name)
            if region is not None and _replaced(draft, region, most):
                graph = draft.graph(like)
    return drop_identities(draft.named(like)) if draft.names else like


def _replaced(draft: Draft, region: Region, most: int) -> bool:
    """Put one weight for each source into ``draft``; return whether that was possible."""
    constants = shift(region)
    if any(delay and np.any(value) for delay, value in constants.items()):
        return False
    new = _Replacement(draft, region, constants.get(0), most)
    return new.by_convolutions() or new.by_matrices()


@dataclass(frozen=True, slots=True, eq=False)
class _Replacement:
    """A region and the weights that replace it.

    Attributes:
        draft: the graph that is changed.
        region: what is replaced.
        constant: what the region adds in each timestep, of the shape of its output, or None.
        most: largest number of weights.
    """

    draft: Draft
    region: Region
    constant: Array | None
    most: int

    @property
    def neurons(self) -> Membrane:
        """The neurons at the end of the region."""
        node = self.region.graph[self.region.end]
        assert isinstance(node, Membrane)
        return node

    @property
    def output_shape(self) -> Shape:
        """The shape of the region's output."""
        return self.region.graph.input_shape_of(self.region.end)

    def by_convolutions(self) -> bool:
        """Add a convolution for each source, or a matrix where the output is a single pixel."""
        views = _views(self.region, self.most)
        maps = {view.window.shape for view in (views or {}).values()}
        if views is None or len(maps) != 1:
            return False
        (found,) = maps
        axes = {len(self.region.graph.shape(name)) for name, _ in self.region.sources}
        shape = self.output_shape
        if found == map_of(shape) and axes == {len(shape)} and len(shape) > 1:
            return self._convolve(views, shape)
        if prod(found[1:]) > 1:
            return self.neurons.synapses < 2 and axes == {3} and self._convolve(views, found)
        if found[0] * sum(prod(view.window.source) for view in views.values()) > self.most:
            return False
        self._multiply({at: view.window.as_matrix() for at, view in views.items()})
        return True

    def by_matrices(self) -> bool:
        """Add a dense matrix for each source."""
        graph, sources = self.region.graph, self.region.sources
        columns = sum(prod(graph.shape(name)) for name, _ in sources)
        if columns * prod(self.output_shape) > self.most:
            return False
        self._multiply({at: matrix(self.region, at) * _average(graph, at[0]) for at in sources})
        return True

    def _convolve(self, views: Views, shape: Shape) -> bool:
        """Let convolutions drive neurons of ``shape``; False where these cannot hold a bias."""
        bias, more = None, np.zeros(())
        if self.constant is not None:
            each = self.constant.reshape(shape[0], -1)
            if np.all(each == each[:, :1]):
                bias = each[:, 0]
            elif self.neurons.alpha_syn is not None:
                return False
            else:
                more = self.neurons.gain * self.constant
        weights = []
        for group in self._alike(views, lambda one, two: one.window.same_as(two.window)):
            window = views[group[0]].window
            weights.append(self._add(_convolution(window, bias, len(shape)), group))
            bias = None
        self._drive(replace(self.neurons, bias=self.neurons.bias + more), shape, weights)
        return True

    def _multiply(self, matrices: Mapping[Delayed, Array]) -> None:
        """Let dense matrices drive neurons on one axis."""
        bias = None if self.constant is None else self.constant.ravel()
        weights = []
        for group in self._alike(matrices, np.array_equal):
            weights.append(self._add(Linear(weight=matrices[group[0]], bias=bias), group))
            bias = None
        shape = self.neurons.shape if len(self.output_shape) == 1 else (prod(self.output_shape),)
        self._drive(self.neurons, shape, weights)

    def _alike(self, of: Mapping[Delayed, V], same: Callable[[V, V], bool]) -> list[list[Delayed]]:
        """Return groups of sources of one shape and delay that a single weight can read."""
        shapes = {at: (self.region.graph.shape(at[0]), at[1]) for at in of}
        groups: list[list[Delayed]] = []
        for at, value in of.items():
            for group in groups:
                if shapes[at] == shapes[group[0]] and same(value, of[group[0]]):
                    group.append(at)
                    break
            else:
                groups.append([at])
        return groups

    def _add(self, weight: Node, sources: Sequence[Delayed]) -> str:
        """Add a weight that reads the sum of ``sources``, and return its name for now."""
        graph, end, add = self.region.graph, self.region.end, self.draft.add
        (first, _), *more = sources
        read = [(_sum_pool(self.draft, graph, name), delay) for name, delay in sources]
        into = (add([f"{end}.sum"], Add(), *read), 0) if more else read[0]
        if isinstance(weight, Linear) and len(graph.shape(first)) > 1:
            into = (add([f"{first}.flatten"], Flatten(), into), 0)
        return add([*_weights_behind(self.region, sources[0]), f"{end}.weight"], weight, into)

    def _drive(self, node: Membrane, shape: Shape, weights: Sequence[str]) -> None:
        """Let the sum of ``weights`` drive the neurons, and reshape what reads these."""
        end, drive = self.region.end, weights
        if len(weights) > 1:
            drive = [self.draft.add([f"{end}.drive"], Add(), *((name, 0) for name in weights))]
        self.draft.connect(end, drive)
        self.draft.nodes[end] = node if shape == node.shape else reshaped(node, shape)
        if shape != node.shape:
            back = Flatten() if len(node.shape) == 1 else Reshape(shape=node.shape)
            self.draft.insert_after(end, [f"{end}.{type(back).__name__.lower()}"], back)


def _convolution(window: Window, bias: Array | None, axes: int) -> Node:
    """Return a window as a convolution of maps of as many axes."""
    weight, stride, padding = window.as_convolution()
    if axes == 3:
        return Conv2d(weight=weight, bias=bias, stride=stride, padding=padding)
    return Conv1d(weight=weight[:, :, 0], bias=bias, stride=stride[1], padding=padding[1])


def _views(region: Region, most: int) -> Views | None:
    """Return what each source contributes to a region; None if one is no convolution."""
    graph = region.graph

    def start(at: Delayed) -> Views | None:
        shape = graph.shape(at[0])
        found = map_of(shape)
        if found is None or found[0] ** 2 > most:
            return None
        factor = np.full(found[0], _average(graph, at[0]))
        return {at: View(Window.identity(found).scaled(factor), shape)}

    def step(at: Delayed, values: list[Views | None]) -> Views | None:
        node, total = graph[at[0]], Views()
        for value in values:
            if value is None:
                return None
            for source, view in value.items():
                behind = view if isinstance(node, Add) else view.through(node, most)
                if behind is not None and source in total:
                    behind = total[source].plus(behind, most)
                if behind is None:
                    return None
                total[source] = behind
        return total

    return region.walk(start, step)


def _weights_behind(region: Region, source: Delayed) -> list[str]:
    """Return the names of the weights on the paths from a source, the last first."""

    def step(at: Delayed, values: list[list[str] | None]) -> list[str] | None:
        passed = [value for value in values if value is not None]
        names = [name for value in passed for name in value]
        own = [at[0]] if isinstance(region.graph[at[0]], WEIGHTS) else []
        return [*dict.fromkeys(names + own)] if passed else None

    found = region.walk(lambda at: [] if at == source else None, step)
    return [*reversed(found or [])]


def _average(graph: Graph, name: str) -> float:
    """Return the factor of a pool of a source as a sum: the averages divide it."""
    factor = 1.0
    while isinstance(node := graph[name], SumPool2d):
        factor /= prod(node.kernel) if isinstance(node, AvgPool2d) else 1
        name = graph.before(name)
    return factor


def _sum_pool(draft: Draft, graph: Graph, name: str) -> str:
    """Return the pool ``name`` with sums in place of averages, as a node of ``draft``."""
    node = graph[name]
    if not isinstance(node, SumPool2d):
        return name
    before = _sum_pool(draft, graph, graph.before(name))
    if before == graph.before(name) and not isinstance(node, AvgPool2d):
        return name
    pool = SumPool2d(kernel=node.kernel, stride=node.stride)
    return draft.add([name, f"{name}.sum"], pool, (before, 0))

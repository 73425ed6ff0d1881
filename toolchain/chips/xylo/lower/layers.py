"""Populations of neurons and dense projections between them, read from a graph.

Xylo delivers a hidden neuron's spikes one timestep after they were fired, whatever the target.
A graph delivers them at once, or after the delay of the edge. Both compute the same thing, each
population shifted by its own ``lag``, exactly when all paths to a population agree on that lag.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from toolchain.arrays import Array
from toolchain.ir import Add, Flatten, Graph, Input, Linear, Membrane

__all__ = ["DenseLayers", "Projection", "read_layers"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """A dense connection.

    Attributes:
        name: the user's name of the weight.
        pre: a population, or the input.
        post: a population.
        weight: (post neurons * synapses, pre neurons).
        delay: timesteps between a spike and its effect in the graph.
    """

    name: str
    pre: str
    post: str
    weight: Array
    delay: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseLayers:
    """Graph as populations and dense projections.

    Attributes:
        input: name of the input.
        inputs: input channels.
        neurons: populations by name, producers first.
        projections: all connections.
        outputs: the populations whose spikes or states leave the network, in the order of
            their ids, each with the timesteps between these and the graph's output.
    """

    input: str
    inputs: int
    neurons: Mapping[str, Membrane]
    projections: tuple[Projection, ...]
    outputs: Mapping[str, int]

    def into(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that end at population ``name``."""
        return tuple(p for p in self.projections if p.post == name)

    def out_of(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that start at ``name``."""
        return tuple(p for p in self.projections if p.pre == name)

    def lags(self) -> dict[str, int]:
        """Return the timesteps by which each population runs later on the chip than in the graph.

        Where paths disagree the first one counts; the rule ``path_lengths`` refuses the others.
        """
        lags: dict[str, int] = {}
        waiting = list(self.neurons)
        while waiting:
            ready = [n for n in waiting if any(self._known(p, lags) for p in self.into(n))]
            if not ready:
                return lags
            for name in ready:
                lags[name] = next(
                    self.lag_after(p, lags) for p in self.into(name) if self._known(p, lags)
                )
            waiting = [name for name in waiting if name not in lags]
        return lags

    def lag(self) -> int:
        """Return the timesteps by which the chip's output is later than the graph's, at most."""
        lags = self.lags()
        return max(lags[name] - delay for name, delay in self.outputs.items())

    def _known(self, projection: Projection, lags: Mapping[str, int]) -> bool:
        return projection.pre == self.input or projection.pre in lags

    def lag_after(self, projection: Projection, lags: Mapping[str, int]) -> int:
        """Return the lag that one projection requires of its target."""
        if projection.pre == self.input:
            return -projection.delay
        return lags[projection.pre] + 1 - projection.delay


def read_layers(graph: Graph) -> DenseLayers:
    """Return ``graph`` as populations and projections, read once for each Graph.

    Requires: the rules on a graph's topology hold (``TOPOLOGY``).
    """
    return graph.derived(_read)


def _read(graph: Graph) -> DenseLayers:
    edges = [edge for name in graph.output_nodes for edge in graph.pre(name)]
    return DenseLayers(
        input=graph.input,
        inputs=prod(graph.shape(graph.input)),
        neurons=graph.of(Membrane),
        projections=tuple(p for name in graph.of(Membrane) for p in _projections(graph, name)),
        outputs={edge.pre: edge.delay for edge in edges},
    )


def _projections(graph: Graph, post: str) -> Iterator[Projection]:
    for weight, late in _upstream(graph, post):
        node = graph[weight]
        assert isinstance(node, Linear)
        for pre, early in _upstream(graph, weight):
            yield Projection(
                name=weight, pre=pre, post=post, weight=node.weight, delay=late + early
            )


def _upstream(graph: Graph, name: str) -> Iterator[tuple[str, int]]:
    """Yield the sources of ``name`` through sums and flattening, with the delay of the path."""
    for edge in graph.pre(name):
        node = graph[edge.pre]
        if isinstance(node, Add) or (isinstance(node, Flatten) and _on_input(graph, edge.pre)):
            yield from ((pre, delay + edge.delay) for pre, delay in _upstream(graph, edge.pre))
        else:
            yield edge.pre, edge.delay


def _on_input(graph: Graph, flatten: str) -> bool:
    return isinstance(graph[graph.before(flatten)], Input)

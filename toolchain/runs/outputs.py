"""Outputs of a network by name, in the recording of a run."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from toolchain.arrays import Array
from toolchain.ir import Edge, Graph

__all__ = ["output_lags", "output_signals", "outputs_by_name"]


def output_signals(graph: Graph) -> tuple[str, ...]:
    """Return the Output nodes in order, one for each signal: two may have the same source."""
    signals: dict[Edge, str] = {}
    for name in graph.output_nodes:
        (edge,) = graph.pre(name)
        signals.setdefault(Edge(edge.pre, "", edge.delay), name)
    return tuple(signals.values())


def outputs_by_name(graph: Graph, spikes: Array) -> dict[str, Array]:
    """Return the part of each output in the spikes of a run, as a view.

    >>> import numpy as np
    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(2,)), "a": Output(label="a"), "b": Output(label="b")}
    >>> graph = Graph(nodes, [("input", "a"), ("input", "b")])
    >>> {name: part.shape for name, part in outputs_by_name(graph, np.ones((1, 5, 2))).items()}
    {'a': (1, 5, 2), 'b': (1, 5, 2)}

    Args:
        graph: the network, which gives the names and sizes.
        spikes: (batch, time, *features) of all its signals, in their order.
    """
    flat = spikes.reshape(*spikes.shape[:2], prod(spikes.shape[2:]))
    parts: dict[tuple[str, int], Array] = {}
    start = 0
    for name in output_signals(graph):
        (edge,) = graph.pre(name)
        stop = start + prod(graph.shape(name))
        parts[edge.pre, edge.delay] = flat[:, :, start:stop]
        start = stop
    found = {}
    for name, output in graph.output_names.items():
        (edge,) = graph.pre(output)
        found[name] = parts[edge.pre, edge.delay]
    return found


def output_lags(graph: Graph, lags: Mapping[str, int]) -> dict[str, int]:
    """Return the timesteps by which each output is later on a chip, by its name.

    Args:
        graph: the network, whose own delay of an output counts against the lag.
        lags: the same of each layer; those not named are on time.
    """
    found = {}
    for name, output in graph.output_names.items():
        (edge,) = graph.pre(output)
        found[name] = lags.get(edge.pre, 0) - edge.delay
    return found

"""Comparison of a Graph with the model it was extracted from.

Every layer with state is compared by name, spike for spike, and then the network's output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import ExtractError
from toolchain.frontends.tracing.build import TracedGraph
from toolchain.ir import Neuron
from toolchain.runs.interpret import interpret

__all__ = ["TOLERANCE", "self_check"]

TOLERANCE = 1e-9
"""Largest relative difference allowed between values that are not spikes."""

_TIE = (
    ". The membrane equals the threshold within rounding there, so the order of summation decides; "
    "this happens with float64 weights on a decimal grid, not with the same weights in float32"
)

Label: TypeAlias = Callable[[int], str]
"""Returns the name of a timestep's input for a message."""

Ties: TypeAlias = Callable[[tuple[int, ...]], bool]
"""Returns True if the membrane at (batch, time, *neuron) equals the threshold within rounding."""


def self_check(result: TracedGraph, label_at: Label) -> int:
    """Check that Graph and model compute the same, and return the number of spikes compared.

    Raises:
        ExtractError: a difference, with the first layer, sample, step and neuron that has one.
    """
    graph = result.graph
    recording = interpret(graph, result.sample, record=True)
    spike_count = 0
    for name, record in recording.layers.items():
        node = graph[name]
        ties = _ties(node, record.v_mem) if isinstance(node, Neuron) else None
        _compare(f"layer {name!r}", result.layers[name], record.spikes, label_at, ties)
        spike_count += record.spikes.size if isinstance(node, Neuron) else 0
    for name, output in result.outputs.items():
        where = "the output" if len(result.outputs) == 1 else f"output {name!r}"
        found = recording.outputs[name].reshape(
            output.shape[:2] + graph.shape(graph.output_names[name])
        )
        _compare(where, output, found, label_at, None)
    return spike_count


def _ties(node: Neuron, v_mem: Array) -> Ties:
    def tie(index: tuple[int, ...]) -> bool:
        threshold = np.broadcast_to(node.v_threshold, v_mem.shape[2:])[index[2:]]
        ratio = v_mem[index] / threshold
        return bool(abs(ratio - np.rint(ratio)) < TOLERANCE and node.reset == "subtract")

    return tie


def _compare(where: str, model: Array, graph: Array, label_at: Label, ties: Ties | None) -> None:
    """Check that spikes, which have ``ties``, are equal, and other values within TOLERANCE."""
    if model.shape != graph.shape:
        raise ExtractError(
            f"the Graph differs from the model on {label_at(0)}: {where} has shape "
            f"{model.shape} in the model and {graph.shape} in the Graph"
        )
    if ties is not None:
        wrong = model != graph
    else:
        scale = max(np.abs(model).max(initial=0.0), np.finfo(np.float64).tiny)
        wrong = ~(np.abs(model - graph) <= TOLERANCE * scale)
    if wrong.any():
        raise ExtractError(_first(where, model, graph, wrong, label_at, ties))


def _first(
    where: str, model: Array, graph: Array, wrong: Array, label_at: Label, ties: Ties | None
) -> str:
    indices = np.argwhere(wrong)
    batch, step, *neuron = here = tuple(int(n) for n in indices[np.argmin(indices[:, 1])])
    tie = _TIE if ties is not None and ties(here) else ""
    return (
        f"the Graph differs from the model on {label_at(step)}: {where} "
        f"differs first in sample {batch}, step {step}, neuron {tuple(neuron)}: "
        f"{model[here]:.12g} in the model, {graph[here]:.12g} in the Graph "
        f"({len(indices)} of {wrong.size} values differ){tie}"
    )

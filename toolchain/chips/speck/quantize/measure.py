"""Spikes of every layer of the float network, and of the outputs of a quantized one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.lower.integers import lower
from toolchain.chips.speck.quantize.layer import CoreLayer, read_layers
from toolchain.chips.speck.simulate.raster import MOST_SPIKES
from toolchain.chips.speck.simulate.run import simulate
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Conv2d, Graph, Input, Output
from toolchain.runs.bounded import neurons_of, part_within
from toolchain.runs.evaluate import evaluate
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import LayerRecord

__all__ = [
    "LayerTrace",
    "excerpt",
    "float_outputs",
    "narrowed",
    "output_layers",
    "output_spikes",
    "quantized_outputs",
    "side_by_side",
    "trace_layers",
]

MOST = 20_000_000
"""Membranes times steps of the calibration spikes that layers are scored on; of longer ones the
first steps, and evenly spaced samples, are used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerTrace:
    """Input and output spikes of one layer in the float network.

    Attributes:
        inputs: (batch, time, channels, y, x), input spikes of the convolution; at most
            ``MOST_SPIKES`` at an address in a step. uint8 where they fit, else int32.
        spikes: likewise, spikes of the neurons.
        peak: the largest magnitude of a membrane, before its reset.
    """

    inputs: Array
    spikes: Array
    peak: float


def excerpt(graph: Graph, spikes: Array) -> Array:
    """Return the part of ``spikes`` (batch, time, *features) that layers are scored on."""
    return part_within(spikes, neurons_of(graph), MOST)


def trace_layers(graph: Graph, spikes: Array) -> dict[str, LayerTrace]:
    """Record the input and output spikes of every layer of the float network on ``spikes``."""
    parts: dict[str, list[LayerTrace]] = {layer.name: [] for layer in read_layers(graph)}
    # one by one to save memory: the reference records every state in 64 bits
    for sample in range(len(spikes)):
        for name, trace in _trace_sample(graph, spikes[sample : sample + 1]):
            parts[name].append(trace)
    return {
        name: LayerTrace(
            inputs=np.concatenate([trace.inputs for trace in each]),
            spikes=np.concatenate([trace.spikes for trace in each]),
            peak=max(trace.peak for trace in each),
        )
        for name, each in parts.items()
    }


def _trace_sample(graph: Graph, spikes: Array) -> Iterator[tuple[str, LayerTrace]]:
    records = interpret(graph, spikes, record=True).layers
    values = {graph.input: np.asarray(spikes, dtype=np.float64)}
    for name, node in graph.nodes.items():
        if name in records:
            values[name] = records[name].spikes
        elif not isinstance(node, (Input, Conv2d, Output)):
            values[name] = evaluate(node, [values[edge.pre] for edge in graph.pre(name)])
    for layer in read_layers(graph):
        yield (
            layer.name,
            LayerTrace(
                inputs=_counts(values[graph.before(layer.weight_name)], MOST_SPIKES),
                spikes=_counts(records[layer.name].spikes, 2**31 - 1),
                peak=_peak(layer, records[layer.name]),
            ),
        )


def _counts(spikes: Array, most: int) -> Array:
    """Return spikes as integers, at most ``most``, which only a diverging network exceeds."""
    return narrowed(np.minimum(spikes, most).astype(np.int32))


def narrowed(counts: Array) -> Array:
    """Return whole counts as uint8 if all fit, else unchanged.

    >>> narrowed(np.array([0.0, 255.0])).dtype, narrowed(np.array([256])).dtype
    (dtype('uint8'), dtype('int64'))
    """
    fits = counts.max(initial=0) <= np.iinfo(np.uint8).max
    return counts.astype(np.uint8, copy=False) if fits else counts


def _peak(layer: CoreLayer, record: LayerRecord) -> float:
    before = record.v_mem + record.spikes * layer.threshold
    return float(max(np.abs(record.v_mem).max(initial=0), np.abs(before).max(initial=0)))


def output_spikes(graph: Graph, spikes: Array) -> Array:
    """Return ``float_outputs`` on ``spikes`` without a trace of the layers."""
    layers = {graph.before(output): name for name, output in graph.output_names.items()}
    parts = []
    for sample in range(len(spikes)):
        outputs = interpret(graph, spikes[sample : sample + 1]).outputs
        each = [_counts(outputs[layers[name]], 2**31 - 1) for name in output_layers(graph)]
        parts.append(side_by_side(each))
    return np.concatenate(parts)


def float_outputs(graph: Graph, trace: Mapping[str, LayerTrace]) -> Array:
    """Return the spikes of all output layers of the float network, (batch, time, neurons)."""
    return side_by_side([trace[name].spikes for name in output_layers(graph)])


def output_layers(graph: Graph) -> tuple[str, ...]:
    """Return the layers whose spikes leave the network, each once."""
    return tuple(dict.fromkeys(graph.outputs))


def quantized_outputs(graph: Graph, spikes: Array, chip: SpeckChip) -> Array:
    """Return the spikes of all output layers of a quantized graph, like ``float_outputs``."""
    run = simulate(lower(graph, chip), spikes)
    return side_by_side([run.outputs[name] for name in output_layers(graph)])


def side_by_side(each: list[Array]) -> Array:
    """Concatenate arrays (batch, time, *features) to (batch, time, neurons)."""
    return np.concatenate([x.reshape(*x.shape[:2], -1) for x in each], axis=2)

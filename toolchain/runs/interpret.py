"""Reference interpreter of a Graph, in float64.

Every other simulator and every frontend is compared with this one. Samples and timesteps are
evaluated in parts, with the states carried over, so that the memory is bounded but for what is
returned. In a part, a graph without delayed edges is evaluated layer by layer; a recurrent graph is
evaluated step by step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir.graph import Graph
from toolchain.ir.neuron import Membrane
from toolchain.runs.bounded import (
    ALIGNED,
    aligned_parts,
    even_parts,
    samples_at_once,
    steps_at_once,
)
from toolchain.runs.evaluate import evaluate
from toolchain.runs.membrane import MembraneState
from toolchain.runs.outputs import output_signals, outputs_by_name
from toolchain.runs.recording import LayerRecord, Recording
from toolchain.runs.spikes import as_array

__all__ = ["GraphRun", "Place", "interpret"]

Arrays: TypeAlias = Mapping[str, Mapping[str, Array]]


def interpret(graph: Graph, spikes: Array, *, record: bool = False) -> Recording:
    """Run ``graph`` on ``spikes``, from its initial states.

    Args:
        graph: the network; integer parameters of a quantized graph are used as they are.
        spikes: (batch, time, *input shape).
        record: also return spikes, membrane and current of every neuron layer.

    Returns:
        A Recording of float64 arrays. The features of several outputs are flattened and
        concatenated in ``spikes``, in the order of ``graph.outputs``; ``outputs`` has each by name.

    Raises:
        ValueError: ``spikes`` is not of that shape.
    """
    x = as_array(spikes, "spikes")
    wanted = graph.shape(graph.input)
    if x.ndim != 2 + len(wanted) or x.shape[2:] != wanted:
        raise ValueError(f"spikes must be (batch, time, {_inner(wanted)}), got shape {x.shape}")
    out = np.empty((*x.shape[:2], *_output_shape(graph)))
    arrays = {
        name: _arrays(node, x.shape[:2]) for name, node in graph.of(Membrane).items() if record
    }
    for samples in even_parts(len(x), samples_at_once(graph)):
        place = Place(samples=samples, batch=len(x), steps=x.shape[1])
        run = GraphRun(graph, samples.stop - samples.start, place)
        run.advance(x[samples], out[samples], _at(arrays, samples))
    return Recording(
        spikes=out,
        layers={name: LayerRecord(**each) for name, each in arrays.items()},
        dt=graph.dt,
        outputs=outputs_by_name(graph, out),
    )


def _inner(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def _output_shape(graph: Graph) -> Shape:
    """Return the features of the outputs: of a single one its shape, of several their number."""
    shapes = [graph.shape(name) for name in output_signals(graph)]
    return shapes[0] if len(shapes) == 1 else (sum(map(prod, shapes)),)


def _arrays(node: Membrane, size: Shape) -> dict[str, Array]:
    """Return arrays for what is recorded of a layer, by field of ``LayerRecord``."""
    names = ("spikes", "v_mem", "i_syn", "i_syn_2")[: 2 + min(node.synapses, 2)]
    return {name: np.empty((*size, *node.shape)) for name in names}


def _at(arrays: Arrays, samples: slice, steps: slice = slice(None)) -> Arrays:
    """Return views of some samples and timesteps."""
    return {
        layer: {name: array[samples, steps] for name, array in each.items()}
        for layer, each in arrays.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Place of some samples in a whole run, whose bits are repeated.

    Attributes:
        samples: those samples.
        batch, steps: number of all samples, and of all timesteps.
    """

    samples: slice
    batch: int
    steps: int

    def silence(self, graph: Graph, steps: slice) -> tuple[int, int]:
        """Return numbers of silent frames before and behind those of some timesteps.

        A frame is one timestep of one sample. With them, the rows of a product of matrices keep
        their places in blocks of ``ALIGNED`` rows, or from the end of those of the whole run.
        """
        frames = (self.samples.stop - self.samples.start) * (steps.stop - steps.start)
        # each step of a recurrent graph is a product of its own
        whole, last = self.batch, True
        if not graph.recurrent:
            whole, last = self.batch * self.steps, steps.stop == self.steps
        if last and self.samples.stop == self.batch:
            return (whole - frames) % ALIGNED, 0
        return 0, -frames % ALIGNED


class GraphRun:
    """A run of a graph over a batch, whose states are kept between its pieces.

    >>> from toolchain.ir import Input, Neuron, Output
    >>> lif = Neuron(shape=(1,), v_threshold=1.0)
    >>> graph = Graph.chain({"input": Input(shape=(1,)), "lif": lif, "output": Output()})
    >>> run = GraphRun(graph, batch=1)
    >>> [run.run(np.full((1, 1, 1), 0.5))[0].item() for _ in range(2)]
    [0.0, 1.0]
    """

    def __init__(self, graph: Graph, batch: int, place: Place | None = None) -> None:
        """Start from the initial states.

        Args:
            graph: the network.
            batch: number of samples.
            place: the run whose bits are repeated; by default each piece is a run of its own.
        """
        self.graph, self.batch, self.place = graph, batch, place
        self.steps = 0
        self._order = [(name, node, graph.pre(name)) for name, node in graph.nodes.items()]
        self._states = {n: MembraneState(node, batch) for n, node in graph.of(Membrane).items()}
        self._outputs = output_signals(graph)
        self._delayed = {
            (e.pre, e.post): [np.zeros((batch, 1, *graph.shape(e.pre)))] * e.delay
            for e in graph.edges
            if e.delay
        }

    def run(self, x: Array) -> tuple[Array, dict[str, Array]]:
        """Run more timesteps of counts (batch, time, *input shape).

        Returns:
            The outputs, and the spikes of each layer with a state, (batch, time, *features).
        """
        out = np.empty((*x.shape[:2], *_output_shape(self.graph)))
        spikes = {
            name: np.empty((*x.shape[:2], *node.shape))
            for name, node in self.graph.of(Membrane).items()
        }
        self.advance(x, out, {name: {"spikes": array} for name, array in spikes.items()})
        return out, spikes

    def advance(self, x: Array, out: Array, arrays: Arrays) -> None:
        """Run more timesteps, and write outputs and records into arrays of as many timesteps.

        Args:
            x: counts (batch, time, *input shape).
            out: (batch, time, *features).
            arrays: by layer and field of ``LayerRecord``; what is left out is not recorded.
        """
        most = 1 if self._delayed else steps_at_once(self.graph, self.batch)
        for steps in aligned_parts(x.shape[1], most, 1 if self._delayed else ALIGNED):
            part = np.asarray(x[:, steps], dtype=np.float64)
            values = self._evaluate(part, _at(arrays, slice(None), steps), self._silence(steps))
            start, flat = 0, out[:, steps].reshape(*part.shape[:2], prod(out.shape[2:]))
            for value in (values[name] for name in self._outputs):
                stop = start + prod(value.shape[2:])
                flat[:, :, start:stop] = value.reshape(*part.shape[:2], stop - start)
                start = stop
        self.steps += x.shape[1]

    def _silence(self, steps: slice) -> tuple[int, int]:
        if self.place is None:
            return 0, 0
        at = slice(self.steps + steps.start, self.steps + steps.stop)
        return self.place.silence(self.graph, at)

    def _evaluate(self, x: Array, arrays: Arrays, silence: tuple[int, int]) -> dict[str, Array]:
        """Evaluate every node once."""
        values: dict[str, Array] = {}
        for name, node, edges in self._order:
            if name == self.graph.input:
                values[name] = x
                continue
            inputs = [
                self._delayed[edge.pre, edge.post].pop(0) if edge.delay else values[edge.pre]
                for edge in edges
            ]
            state = self._states.get(name)
            if state is None:
                values[name] = evaluate(node, inputs, silence)
            else:
                values[name] = state.run(inputs[0], arrays.get(name, {}))
        for pre, post in self._delayed:
            self._delayed[pre, post].append(values[pre])
        return values

"""Reference interpreter of a Graph: a slow and simple float64 simulator.

Every other simulator and every frontend is compared with this one. A graph without delayed edges is
evaluated layer by layer over the whole time; a recurrent graph is evaluated step by step.
"""

from __future__ import annotations

from math import prod

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir.graph import Graph
from toolchain.ir.neuron import Membrane, MembraneReadout, Neuron
from toolchain.runs.evaluate import evaluate
from toolchain.runs.outputs import output_signals, outputs_by_name
from toolchain.runs.recording import LayerRecord, Recording
from toolchain.runs.spikes import as_array

__all__ = ["interpret"]


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
    x = np.asarray(as_array(spikes, "spikes"), dtype=np.float64)
    wanted = graph.shape(graph.input)
    if x.ndim != 2 + len(wanted) or x.shape[2:] != wanted:
        raise ValueError(f"spikes must be (batch, time, {_inner(wanted)}), got shape {x.shape}")
    run = _Run(graph, x.shape[0], record)
    chunk = 1 if graph.recurrent else max(1, x.shape[1])
    for start in range(0, x.shape[1], chunk):
        run.advance(x[:, start : start + chunk])
    return run.recording(x.shape[:1], record)


def _inner(shape: Shape) -> str:
    return ", ".join(map(str, shape))


class _Run:
    """One run over a batch: states, values in delayed edges, and recorded outputs."""

    def __init__(self, graph: Graph, batch: int, record: bool) -> None:
        self.graph = graph
        self.steps = [(name, node, graph.pre(name)) for name, node in graph.nodes.items()]
        self.states = {name: _State(n, batch, record) for name, n in graph.of(Membrane).items()}
        self.outputs = output_signals(graph)
        self.out: list[Array] = []
        self.delayed = {
            (e.pre, e.post): [np.zeros((batch, 1, *graph.shape(e.pre)))] * e.delay
            for e in graph.edges
            if e.delay
        }

    def advance(self, x: Array) -> None:
        """Evaluate every node once, over the timesteps of ``x``."""
        values: dict[str, Array] = {}
        for name, node, edges in self.steps:
            if name == self.graph.input:
                values[name] = x
                continue
            inputs = [
                self.delayed[edge.pre, edge.post].pop(0) if edge.delay else values[edge.pre]
                for edge in edges
            ]
            state = self.states.get(name)
            values[name] = state.run(inputs[0]) if state else evaluate(node, inputs)
        for pre, post in self.delayed:
            self.delayed[pre, post].append(values[pre])
        self.out.append(_side_by_side([values[name] for name in self.outputs]))

    def recording(self, batch: Shape, record: bool) -> Recording:
        shapes = [self.graph.shape(name) for name in self.outputs]
        empty = _side_by_side([np.zeros((*batch, 0, *shape)) for shape in shapes])
        spikes = np.concatenate(self.out, axis=1) if self.out else empty
        return Recording(
            spikes=spikes,
            layers={name: s.record() for name, s in self.states.items()} if record else {},
            dt=self.graph.dt,
            outputs=outputs_by_name(self.graph, spikes),
        )


def _side_by_side(values: list[Array]) -> Array:
    """Return a single array unchanged; concatenate several, (batch, time, all features)."""
    if len(values) == 1:
        return values[0]
    return np.concatenate([v.reshape(*v.shape[:2], prod(v.shape[2:])) for v in values], axis=2)


# ---- nodes with state ----


class _State:
    """The state of one layer over a run, advanced by :meth:`run`."""

    def __init__(self, node: Membrane, batch: int, record: bool) -> None:
        self.node = node
        shape = (batch, *node.shape)
        self.v = np.zeros(shape) + node.v_init
        self.i = np.zeros((*shape, max(1, node.synapses)))
        self.fired = np.zeros(shape)
        self.recorded: list[tuple[Array, Array, Array]] | None = [] if record else None

    def run(self, x: Array) -> Array:
        """Return outputs (batch, time, *shape) for inputs (batch, time, *features)."""
        batch, time = x.shape[:2]
        out = np.zeros((batch, time, *self.node.shape))
        for t in range(time):
            out[:, t] = self._step(x[:, t])
        return out

    def _step(self, x: Array) -> Array:
        v = self._integrate(self._synapse(x))
        if isinstance(self.node, Neuron):
            self.v, out = self._fire(v)
        else:
            self.v, out = (
                v,
                v * (self.node.v_scale if isinstance(self.node, MembraneReadout) else 1),
            )
        if self.recorded is not None:
            self.recorded.append((out, self.v, self.i))
        return out

    def _integrate(self, current: Array) -> Array:
        node = self.node
        kept = node.v_leak + node.alpha_mem * (self.v - node.v_leak)
        drive = node.gain * current + node.bias
        if not isinstance(node, Neuron) or node.reset_when == "same" or node.reset == "none":
            return np.asarray(kept + drive)
        if node.reset == "subtract":
            return np.asarray(kept + drive - self.fired * _amount(node))
        if node.reset_when == "next_undecayed":
            return np.asarray(kept * (1 - self.fired) + drive)
        return np.asarray((kept + drive) * (1 - self.fired))

    def _synapse(self, x: Array) -> Array:
        node = self.node
        if node.alpha_syn is None:
            return x
        x = x.reshape(*self.i.shape)
        if node.syn_order == "add_decay":
            self.i = node.alpha_syn * (self.i + x)
        else:
            self.i = node.alpha_syn * self.i + x
        return np.asarray(self.i.sum(axis=-1))

    def _fire(self, v: Array) -> tuple[Array, Array]:
        node = self.node
        assert isinstance(node, Neuron)
        n = _spike_count(node, v)
        self.fired, last = n, self.fired
        if node.reset_when == "same":
            v = _reset(node, v, n)
        elif node.reset_when == "next_corrected":
            v = v + (last - n) * _amount(node)
            self.fired = _spike_count(node, v)
        if node.v_min is not None:
            v = np.maximum(v, node.v_min)
        return v, np.asarray(n * node.spike_scale)

    def record(self) -> LayerRecord:
        """Return the recorded states, (batch, time, *shape)."""
        node, steps = self.node, self.recorded or []
        out, v, i = (
            np.stack([step[k] for step in steps], axis=1)
            if steps
            else np.zeros((len(like), 0, *like.shape[1:]))
            for k, like in enumerate((self.v, self.v, self.i))
        )
        return LayerRecord(
            spikes=out,
            v_mem=v,
            i_syn=i[..., 0] if node.synapses else None,
            i_syn_2=i[..., 1] if node.synapses > 1 else None,
        )


def _amount(node: Neuron) -> Array:
    amount = node.v_threshold if node.reset_amount is None else node.reset_amount
    # a neuron with an infinite threshold never spikes, and 0 times infinity is no number
    return amount if np.isfinite(amount).all() else np.where(np.isinf(amount), 0.0, amount)


def _spike_count(node: Neuron, v: Array) -> Array:
    fires = v >= node.v_threshold if node.compare == "ge" else v > node.v_threshold
    if node.max_spikes == 1:
        return fires.astype(np.float64)
    # floor(v / threshold), at least one where it fires: 1.0 exactly at the threshold
    n = np.where(fires, np.maximum(np.floor(v / node.v_threshold), 1.0), 0.0)
    return n if node.max_spikes is None else np.minimum(n, node.max_spikes)


def _reset(node: Neuron, v: Array, n: Array) -> Array:
    if node.reset == "subtract":
        return np.asarray(v - n * _amount(node))
    if node.reset == "value":
        return np.where(n > 0, node.v_reset, v)
    if node.reset == "additive":
        return np.asarray(v * (n == 0) + node.v_reset)
    return v

"""Reference of the kernel: one neuron, one spike and one synapse at a time, in plain Python.

Slow on purpose. Read this to learn what a Xylo core computes; ``kernel`` computes the same with its
loops in another order, and the tests compare the two bit for bit.

Source: rockpool's documentation of the Xylo dynamics and the observed behaviour of xylosim 0.1.3
(``v1`` and ``v2``), with which every state of random networks was compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.chips.xylo.simulate.recording import XyloRecording, XyloState, initial_state

__all__ = ["simulate_slow"]

LOW, HIGH = -32768, 32767


def wrap(x: int) -> int:
    """Wrap ``x`` to 16 bits (two's complement)."""
    return (x - LOW) % 65536 + LOW


def clamp(x: int) -> int:
    """Saturate ``x`` to 16 bits."""
    return max(LOW, min(HIGH, x))


def leak(state: int, dash: int) -> int:
    """Return the decay of a state in a step: ``floor(state / 2**dash)``, at least 1 towards 0.

    Floor makes negative states decay faster: 7 -> 6, 5, 4, 3, 2, 1, 0 but -7 -> -5, -3, -2, -1, 0
    (dash 2). Dash 0 clears the state.
    """
    lost = state >> dash
    return 1 if lost == 0 and state > 0 else lost


@dataclass
class ReferenceNeuron:
    """Two currents and a membrane, with their update.

    ``clamped`` counts saturated additions: one for all spikes that a source sends in a step, one
    for each addition to the membrane.
    """

    dash_syn: Sequence[int]
    dash_mem: int
    threshold: int
    bias: int
    core: str
    i_syn: list[int]
    v_mem: int
    clamped: int = 0
    active: bool = False

    def receive(self, synapse: int, weight: int, spikes: int) -> None:
        """Add ``weight`` once for each spike, saturated to 16 bits each time."""
        current, hit = self.i_syn[synapse], False
        for _ in range(spikes):
            current += weight
            if not LOW <= current <= HIGH:
                current, hit = clamp(current), True
        self.i_syn[synapse] = current
        self.clamped += hit

    def add(self, a: int, b: int) -> int:
        """Return ``a + b`` for the membrane, saturated."""
        self.clamped += clamp(a + b) != a + b
        return clamp(a + b)

    def evolve(self) -> None:
        """Decay, then integrate; input of this step has already decayed once."""
        for s, dash in enumerate(self.dash_syn):
            lost = leak(self.i_syn[s], dash)
            self.i_syn[s] -= lost
            self.active |= lost != 0
        lost = leak(self.v_mem, self.dash_mem)
        if self.core == "v1":
            self.v_mem = self.add(self.v_mem - lost, sum(self.i_syn))
            return
        # -(-32768) does not fit 16 bits: the one place that wraps
        change = self.add(wrap(-lost), sum(self.i_syn))
        change = self.add(change, self.bias)
        self.v_mem = self.add(self.v_mem, change)
        self.active |= change != 0

    def fire(self, already: int, cap: int) -> int:
        """Return the spikes of this step, at most ``cap``, ``already`` received ones included.

        Each own spike subtracts the threshold from the membrane; at the cap the rest stays.
        """
        spikes = already
        while self.v_mem >= self.threshold and spikes < cap:
            spikes += 1
            self.v_mem = wrap(self.v_mem - self.threshold)
        return spikes


@dataclass
class ReferenceCore:
    """One network and its state; ``step`` is the chip's update in one dt."""

    program: XyloProgram
    hidden: list[ReferenceNeuron]
    output: list[ReferenceNeuron]
    pending: list[int]
    sleeping: bool
    trace: list[dict[str, object]] = field(default_factory=list)

    def deliver(
        self,
        weights: npt.NDArray[np.int8],
        shift: int,
        counts: Iterable[int],
        targets: list[ReferenceNeuron],
    ) -> None:
        """Deliver every source's spikes through its row, sources in id order."""
        for row, spikes in zip(weights, counts, strict=True):
            if not spikes:
                continue
            for neuron, synapses in zip(targets, row.tolist(), strict=True):
                for which, weight in enumerate(synapses):
                    neuron.receive(which, wrap(weight << shift), spikes)

    def step(self, counts: Sequence[int]) -> None:
        """Simulate one dt with input ``counts``; append one entry to the trace."""
        p = self.program
        active = any(counts) or any(self.pending)
        if active:
            self.sleeping = False
        self.deliver(p.weights_in, p.weight_shift_in, counts, self.hidden)
        self.deliver(p.weights_rec, p.weight_shift_rec, self.pending, self.hidden)
        out = p.weights_out[:, :, None]
        self.deliver(out, p.weight_shift_out, self.pending, self.output)
        for neuron in (*self.hidden, *self.output):
            neuron.active = False
        self.pending = [0] * p.hidden
        for n, neuron in enumerate(self.hidden):
            neuron.evolve()
            spikes = neuron.fire(self.pending[n], p.max_hidden_spikes)
            self.pending[n] = spikes
            for target in p.aliases[n]:
                together = self.pending[target] + spikes
                self.pending[target] = min(p.max_hidden_spikes, together)
        for neuron in self.output:
            neuron.evolve()
        out_spikes = [neuron.fire(0, p.max_output_spikes) for neuron in self.output]
        active |= any(neuron.active for neuron in (*self.hidden, *self.output))
        # with a bias the core tests for activity one step later
        asleep = self.sleeping if p.has_bias else not active
        self.sleeping = not active
        self.record(out_spikes, asleep)

    def record(self, spikes: list[int], asleep: bool) -> None:
        """Append every state of the step to the trace."""
        self.trace.append(
            {
                "spikes": spikes,
                "hidden_spikes": list(self.pending),
                "v_mem": [n.v_mem for n in self.hidden],
                "i_syn": [n.i_syn[0] for n in self.hidden],
                "i_syn_2": [n.i_syn[-1] for n in self.hidden],
                "v_mem_out": [n.v_mem for n in self.output],
                "i_syn_out": [n.i_syn[0] for n in self.output],
                "hibernation": asleep,
            }
        )

    def state(self) -> XyloState:
        """Return the state as a batch of one."""
        return XyloState(
            i_syn=np.array([[n.i_syn for n in self.hidden]], np.int16),
            v_mem=np.array([[n.v_mem for n in self.hidden]], np.int16),
            i_syn_out=np.array([[n.i_syn[0] for n in self.output]], np.int16),
            v_mem_out=np.array([[n.v_mem for n in self.output]], np.int16),
            pending_spikes=np.array([self.pending], np.int8),
            hibernating=np.array([self.sleeping]),
        )

    def saturations(self) -> dict[str, int]:
        """Return the number of saturated additions, by population."""
        neurons = {"hidden": self.hidden, "output": self.output}
        return {
            p.name: sum(n.clamped for n in neurons[p.role][p.start : p.stop])
            for p in self.program.populations
        }


def simulate_slow(
    program: XyloProgram, raster: npt.ArrayLike, state: XyloState | None = None
) -> XyloRecording:
    """Simulate as ``simulate(program, raster, record=True, state=state)`` does, in plain Python.

    Raises:
        ValueError: as :func:`toolchain.chips.xylo.simulate.run.simulate`.
    """
    counts = as_counts(program, raster)
    start = initial_state(program, counts.shape[0], state)
    cores = [_core(program, start, sample) for sample in range(counts.shape[0])]
    for core, sample in zip(cores, counts.tolist(), strict=True):
        for step in sample:
            core.step(step)
    return _recording(program, cores, counts.shape[:2], start)


def _core(program: XyloProgram, start: XyloState, sample: int) -> ReferenceCore:
    """Return a core in the state of one sample."""
    p = program
    dashes = np.stack([p.dash_syn, p.dash_syn_2][: p.synapses], axis=1).tolist()
    hidden = [
        ReferenceNeuron(
            dash_syn=dashes[n],
            dash_mem=int(p.dash_mem[n]),
            threshold=int(p.threshold[n]),
            bias=int(p.bias[n]),
            core=p.core,
            i_syn=start.i_syn[sample, n].tolist(),
            v_mem=int(start.v_mem[sample, n]),
        )
        for n in range(p.hidden)
    ]
    output = [
        ReferenceNeuron(
            dash_syn=[int(p.dash_syn_out[n])],
            dash_mem=int(p.dash_mem_out[n]),
            threshold=int(p.threshold_out[n]),
            bias=int(p.bias_out[n]),
            core=p.core,
            i_syn=[int(start.i_syn_out[sample, n])],
            v_mem=int(start.v_mem_out[sample, n]),
        )
        for n in range(p.outputs)
    ]
    pending = start.pending_spikes[sample].tolist()
    return ReferenceCore(p, hidden, output, pending, bool(start.hibernating[sample]))


def _recording(
    program: XyloProgram, cores: list[ReferenceCore], shape: tuple[int, ...], start: XyloState
) -> XyloRecording:
    """Return the traces of all samples, batch first."""
    p = program
    widths = {
        "spikes": (np.int8, (p.outputs,)),
        "hidden_spikes": (np.int8, (p.hidden,)),
        "v_mem": (np.int16, (p.hidden,)),
        "i_syn": (np.int16, (p.hidden,)),
        "i_syn_2": (np.int16, (p.hidden,)),
        "v_mem_out": (np.int16, (p.outputs,)),
        "i_syn_out": (np.int16, (p.outputs,)),
        "hibernation": (np.bool_, ()),
    }
    traces: dict[str, Any] = {
        name: np.array([[step[name] for step in core.trace] for core in cores], dtype)
        .reshape(*shape, *width)
        .astype(dtype)
        for name, (dtype, width) in widths.items()
    }
    if p.synapses == 1:
        del traces["i_syn_2"]
    if p.core == "v1":
        del traces["hibernation"]
    clamped: Counter[str] = Counter({population.name: 0 for population in p.populations})
    for core in cores:
        clamped.update(core.saturations())
    ends = [core.state() for core in cores]
    state = XyloState.stack(ends) if ends else start
    if program.readout != "spikes":
        traces["readout"] = traces[f"{program.readout}_out"]
    return XyloRecording(state=state, saturations=dict(clamped), **traces)

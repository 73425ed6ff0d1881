r"""The equations of a NIR file, integrated step by step: plain, slow, and without the IR.

Reference for the self-check of imported Graphs. Nodes are evaluated one by one in each step; the
update rules are implemented a second time here, so that a mistake in ``dialects`` or in the
conversion shows up as a difference. With decay a and gain g,

.. math:: i \leftarrow a_{syn} i + g_{syn} x, \qquad
          v \leftarrow v_{leak} + a (v - v_{leak}) + g i.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.frontends.nir.neurons import NEURONS, Reading, fields_of
from toolchain.frontends.nir.nodes import NirEdge, NirNode
from toolchain.frontends.nir.steps import SNAP, snap_to_one

__all__ = ["Track", "Wiring", "integrate"]

TAU_IN_STEPS = ("sinabs",)
DECAY_IN_R = ("spyx",)
EXPONENTIAL = ("exact", "rockpool")
UNIT_GAIN = ("sinabs", "rockpool", "spyx")
MAX_SPIKES = {"sinabs": np.inf, "rockpool": 65536.0}
AT_THRESHOLD = ("sinabs", "rockpool", "spikingjelly")
ONE_FOR_IF = ("sinabs", "norse", "norse-export", "spyx")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wiring:
    """A graph without inner graphs.

    Attributes:
        nodes: by name, producers first except across delayed edges.
        edges: all edges.
        delays: delay of edges, in steps, where it is not 0.
        shapes: output shape of each node.
        recurrent: nodes whose output returns to them.
        outputs: the Output nodes, in the order of the network's outputs.
    """

    nodes: Mapping[str, NirNode]
    edges: Collection[NirEdge]
    delays: Mapping[NirEdge, int]
    shapes: Mapping[str, Shape]
    recurrent: Collection[str]
    outputs: Sequence[str]


@dataclass(slots=True, eq=False)
class Track:
    """Outputs and membranes of a stateful node, (batch, *shape) per step."""

    outputs: list[Array] = field(default_factory=list)
    membranes: list[Array] = field(default_factory=list)


def integrate(wiring: Wiring, reading: Reading, x: Array) -> tuple[Array, dict[str, Track]]:
    """Run the graph on ``x`` (batch, time, *features).

    Returns:
        The input of the Output node, (batch, time, *features), with the features of several Outputs
        flattened and concatenated; and the tracks of stateful nodes.
    """
    sources: dict[str, list[tuple[str, int]]] = {name: [] for name in wiring.nodes}
    for pre, post in sorted(wiring.edges):
        sources[post].append((pre, wiring.delays.get((pre, post), 0)))
    cells = {
        name: _Cell(node, reading, (len(x), *wiring.shapes[name]), name in wiring.recurrent)
        for name, node in wiring.nodes.items()
        if node.type in NEURONS
    }
    history: dict[str, list[Array]] = {name: [] for name in wiring.nodes}
    for t in range(x.shape[1]):
        for name, node in wiring.nodes.items():
            inputs = [
                history[pre][t - steps] if t >= steps else np.zeros((len(x), *wiring.shapes[pre]))
                for pre, steps in sources[name]
            ]
            value = x[:, t] if node.type == "Input" else sum(inputs[1:], start=inputs[0])
            history[name].append(cells[name].step(value) if name in cells else _apply(node, value))
    values = [np.stack(history[name], axis=1) for name in wiring.outputs]
    if len(values) > 1:
        values = [np.concatenate([each.reshape(*each.shape[:2], -1) for each in values], axis=2)]
    return values[0], {name: cell.track for name, cell in cells.items()}


# ---- nodes without a state ----


def _apply(node: NirNode, x: Array) -> Array:
    """Apply a stateless node to ``x`` (batch, *features)."""
    fields = node.fields
    if node.type in ("Affine", "Linear"):
        y = x @ np.asarray(fields["weight"], dtype=np.float64).T
        return np.asarray(y + np.asarray(fields["bias"]) if "bias" in fields else y)
    if node.type in ("Conv1d", "Conv2d"):
        return _convolve(node, x)
    if node.type in ("SumPool2d", "AvgPool2d"):
        return _pool(node, x)
    if node.type == "Scale":
        return np.asarray(x * np.asarray(fields["scale"], dtype=np.float64))
    return x.reshape(len(x), -1) if node.type == "Flatten" else x


def _sides(node: NirNode, name: str, axes: int) -> list[int]:
    values = np.asarray(node.fields[name]).reshape(-1).tolist()
    return values * axes if len(values) == 1 else values


def _zeros(node: NirNode, kernel: Shape, dilation: list[int]) -> list[int]:
    padding = node.fields["padding"]
    if isinstance(padding, str):
        same = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        return same if padding == "same" else [0] * len(kernel)
    return _sides(node, "padding", len(kernel))


def _convolve(node: NirNode, x: Array) -> Array:
    """Convolve by kernel position: each weight times the part of the map that it covers."""
    weight = np.asarray(node.fields["weight"], dtype=np.float64)
    kernel, axes = weight.shape[2:], weight.ndim - 2
    stride, dilation = _sides(node, "stride", axes), _sides(node, "dilation", axes)
    zeros = _zeros(node, kernel, dilation)
    groups = int(np.asarray(node.fields["groups"]).reshape(()))
    padded = np.pad(x, [(0, 0), (0, 0), *((n, n) for n in zeros)])
    size = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(padded.shape[2:], kernel, stride, dilation, strict=True)
    ]
    out = np.zeros((len(x), groups, len(weight) // groups, *size))
    for tap in np.ndindex(*kernel):
        window = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, dilation, size, stride, strict=True)
        )
        patch = padded[(slice(None), slice(None), *window)]
        patch = patch.reshape(len(x), groups, -1, *size)
        by_group = weight[(..., *tap)].reshape(groups, len(weight) // groups, -1)
        out += np.einsum("bgc...,goc->bgo...", patch, by_group)
    out = out.reshape(len(x), len(weight), *size)
    bias = node.fields.get("bias")
    return out if bias is None else out + np.asarray(bias).reshape(-1, *(1,) * axes)


def _pool(node: NirNode, x: Array) -> Array:
    """Sum or average by position within the window."""
    kernel, stride = _sides(node, "kernel_size", 2), _sides(node, "stride", 2)
    size = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    out = np.zeros((*x.shape[:2], *size))
    for row, column in np.ndindex(*kernel):
        rows = slice(row, row + (size[0] - 1) * stride[0] + 1, stride[0])
        columns = slice(column, column + (size[1] - 1) * stride[1] + 1, stride[1])
        out += x[:, :, rows, columns]
    return out / (kernel[0] * kernel[1]) if node.type == "AvgPool2d" else out


# ---- nodes with a state ----


class _Cell:
    """A layer of neurons."""

    def __init__(self, node: NirNode, reading: Reading, shape: Shape, recurrent: bool) -> None:
        self.kind, self.fields, self.recurrent = node.type, fields_of(node), recurrent
        self.fields = {k: v.reshape(()) if v.size == 1 else v for k, v in self.fields.items()}
        self.name, self.reset = reading.dialect.name, reading.reset
        self.fires = "v_threshold" in self.fields
        self.dt = np.nan if reading.step is None else reading.step
        if self.name in DECAY_IN_R and self.kind == "LIF":
            self.reset = "subtract-late"
        self.v, self.i, self.last_spikes = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        start = {"norse": "v_leak", "norse-export": "v_leak", "spikingjelly": "v_reset"}
        self.v = self.v + self.fields.get(start.get(self.name, ""), 0.0)
        self.track = Track()

    def step(self, x: Array) -> Array:
        """Advance one step; return spikes, or the membrane of a layer that does not fire."""
        output = self.threshold(x) if self.kind == "Threshold" else self.integrate(x)
        self.track.outputs.append(output)
        self.track.membranes.append(self.v)
        return output

    def threshold(self, x: Array) -> Array:
        self.v = x
        return (x > self.fields["threshold"]).astype(np.float64)

    def integrate(self, x: Array) -> Array:
        v, drive = self.apply_leak(), self.drive(x)
        if self.reset == "value-late" and (self.recurrent or self.kind == "CubaLIF"):
            self.v = (v + drive) * (1 - self.last_spikes)
        elif self.reset == "value-late":
            self.v = v * (1 - self.last_spikes) + drive
        elif self.reset in ("subtract-late", "subtract-corrected") and self.fires:
            self.v = v + drive - self.last_spikes * self.fields["v_threshold"]
        else:
            self.v = v + drive
        return self.fire() if self.fires else self.v

    def apply_leak(self) -> Array:
        """Return the membrane after its leak."""
        if self.kind in ("I", "IF"):
            return self.v
        leak = self.fields["v_leak"]
        return np.asarray(leak + self.decay(self.membrane_tau()) * (self.v - leak))

    def drive(self, x: Array) -> Array:
        """Return what the input adds to the membrane, through the synapse if there is one."""
        if self.kind in ("I", "IF"):
            one = self.name in ONE_FOR_IF
            return x if one else np.asarray(snap_to_one(self.fields["r"] * self.dt) * x)
        tau = self.membrane_tau()
        if self.kind in ("LI", "LIF"):
            gain = self.gain(tau, self.fields["r"])
            return np.asarray((self.decay(tau) if self.name == "rockpool" else gain) * x)
        tau_syn = self.fields["tau_syn"]
        if self.name == "rockpool":
            self.i = self.decay(tau_syn) * (self.i + x)
        else:
            self.i = (
                self.decay(tau_syn, "w_in") * self.i + self.gain(tau_syn, self.fields["w_in"]) * x
            )
        return np.asarray(self.gain(tau, self.fields["r"]) * self.i)

    def membrane_tau(self) -> Array:
        return self.fields["tau" if "tau" in self.fields else "tau_mem"]

    def decay(self, tau: Array, stored: str = "r") -> Array:
        """Return the decay factor of one step, which spyx also has in the field ``stored``."""
        if self.name in TAU_IN_STEPS:
            return np.asarray(np.exp(-1 / tau))
        if self.name in EXPONENTIAL:
            return np.asarray(np.exp(-self.dt / tau))
        if self.name in DECAY_IN_R:
            return self.stored_decay(1 - self.dt / tau, self.fields[stored])
        return np.asarray(1 - self.dt / self.true_tau(tau))

    def stored_decay(self, decay: Array, stored: Array) -> Array:
        """Return ``stored`` where it is that decay up to rounding, between 0 and 1."""
        same = (np.abs(stored - decay) < SNAP) & (stored != 1)
        return np.asarray(np.clip(np.where(same, stored, decay), 0.0, 1.0))

    def true_tau(self, tau: Array) -> Array:
        return tau / self.dt if self.name == "norse-export" else tau

    def gain(self, tau: Array, factor: Array) -> Array:
        if self.name in UNIT_GAIN:
            return np.ones(())
        if self.name in EXPONENTIAL:
            return np.asarray(factor * (1 - self.decay(tau)))
        return np.asarray(snap_to_one(factor * self.dt / self.true_tau(tau)))

    def fire(self) -> Array:
        threshold, v = self.fields["v_threshold"], self.v
        fires = v >= threshold if self.name in AT_THRESHOLD else v > threshold
        max_spikes = MAX_SPIKES.get(self.name, 1.0)
        n = np.where(fires, np.clip(np.floor(v / threshold), 1.0, max_spikes), 0.0)
        previous, self.last_spikes = self.last_spikes, n
        if self.reset == "subtract-corrected":
            self.v = v + (previous - n) * threshold
            self.last_spikes = (self.v > threshold).astype(np.float64)
        elif self.reset == "subtract":
            self.v = v - n * threshold
        elif self.reset == "value":
            self.v = np.where(fires, self.fields.get("v_reset", 0.0), v)
        if self.name == "sinabs" and self.kind == "IF":
            self.v = np.maximum(self.v, -threshold)
        return n

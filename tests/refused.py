"""Networks that a chip refuses, each for a known reason, that classify scikit-learn's digits.

Hidden weights are random, the readout is fitted to hidden spike counts by least squares: a network
of any size that works, within a second and without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from toolchain.ir import Add, Conv2d, Edge, Flatten, Graph, Input, Linear, Neuron, Output, SumPool2d
from toolchain.runs.interpret import interpret

CLASSES = 8
GAINS = (6.0, 12.0, 24.0, 48.0, 96.0)
"""Factors on the readout, of which the best is taken."""


@dataclass(frozen=True)
class Refused:
    """A refused network: chip, rules of its errors, network, spikes and labels."""

    name: str
    chip: str
    rules: tuple[str, ...]
    build: Callable[[], tuple[Graph, Any, Any]]


def digits(samples: int, seed: int) -> tuple[Any, Any]:
    """Return images (samples, 8, 8) of 0..16 and labels 0..7."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels < CLASSES))[:samples]
    return images[order].reshape(-1, 8, 8).astype(int), labels[order]


def rows(images: Any, hold: int = 4, channels: int = 8) -> Any:
    """Return columns over time, a channel a row, (samples, time, channels)."""
    repeated = np.diff(np.arange(hold + 1).reshape(-1, 1, 1, 1) * images // 16, axis=0)
    spikes = repeated.transpose(1, 3, 0, 2).reshape(len(images), -1, 8)
    copies = [np.roll(spikes, 3 * k, axis=1) for k in range(-(-channels // 8))]
    wide = np.concatenate(copies, axis=2)[:, :, :channels]
    return np.pad(wide, ((0, 0), (0, 8), (0, 0)))


def maps(images: Any, side: int, steps: int = 8) -> Any:
    """Return rate-coded images, (samples, steps, 1, side, side)."""
    large = np.kron(images, np.ones((1, side // 8, side // 8), int))
    counts = np.arange(steps + 1).reshape(-1, 1, 1, 1) * large // 16
    return np.diff(counts, axis=0).transpose(1, 0, 2, 3)[:, :, None]


def dense(
    *sizes: int,
    recurrent: bool = False,
    synapses: int = 1,
    channels: int = 8,
    samples: int = 240,
    seed: int = 0,
    **neuron: Any,
) -> tuple[Graph, Any, Any]:
    """Return a network of leaky layers of these sizes, spikes and labels."""
    rng = np.random.default_rng(seed)
    leaky = {"v_threshold": 1.0, "alpha_mem": 0.875, **neuron}
    nodes, edges, before, width = {"input": Input(shape=(channels,))}, [], "input", channels
    for k, size in enumerate(sizes):
        fc, lif, rec, total = (f"{name}{k}" for name in ("fc", "lif", "rec", "sum"))
        scale = (0.7 if k == 0 else 0.35) / width**0.5
        nodes[fc] = Linear(weight=rng.normal(0.4 / width, scale, (size * synapses, width)))
        nodes[lif] = Neuron(shape=(size,), **leaky, alpha_syn=[0.75, 0.5][:synapses])
        edges.append((before, fc))
        if recurrent:
            nodes[rec] = Linear(weight=rng.normal(0, 0.15 / size**0.5, (size * synapses, size)))
            nodes[total] = Add()
            edges += [(fc, total), (rec, total), (total, lif), Edge(lif, rec, 1)]
        else:
            edges.append((fc, lif))
        before, width = lif, size
    images, labels = digits(samples, seed)
    leaky.pop("max_spikes", None)
    out = Neuron(shape=(CLASSES,), **leaky, alpha_syn=[0.75])
    return _read(nodes, edges, before, width, out, rows(images, channels=channels), labels)


def convolutional(
    *channels: int,
    side: int = 8,
    samples: int = 160,
    seed: int = 0,
    recurrent: bool = False,
    **neuron: Any,
) -> tuple[Graph, Any, Any]:
    """Return a network of convolutions, pooled by 2 after each until 4 pixels are left."""
    rng = np.random.default_rng(seed)
    nodes, edges, before, width = {"input": Input(shape=(1, side, side))}, [], "input", 1
    images, labels = digits(samples, seed)
    spikes = maps(images, side)
    for k, size in enumerate(channels):
        conv, spk, pool = (f"{name}{k}" for name in ("conv", "spk", "pool"))
        scale = 0.8 / (9 * width) ** 0.5
        kernel = rng.normal((1.0 if k else 0.5) / (9 * width), scale, (size, width, 3, 3))
        nodes[conv] = Conv2d(weight=kernel, padding=(1, 1))
        nodes[spk] = Neuron(shape=(size, side, side), **{"v_threshold": 1.0, **neuron})
        edges += [(before, conv), (conv, spk)]
        before, width = spk, size
        if side > 4:
            nodes[pool] = SumPool2d(kernel=2, stride=2)
            edges.append((spk, pool))
            before, side = pool, side // 2
    if recurrent:
        nodes["rec"] = Conv2d(weight=np.full((width, width, 1, 1), -0.02))
        nodes["sum"] = Add()
        last = max(name for name in nodes if name.startswith("spk"))
        edges.remove((last.replace("spk", "conv"), last))
        edges += [(last.replace("spk", "conv"), "sum"), ("rec", "sum"), ("sum", last)]
        edges.append(Edge(last, "rec", 1))
    nodes["flat"] = Flatten()
    edges.append((before, "flat"))
    out = Neuron(shape=(CLASSES,), **{"v_threshold": 1.0, **neuron})
    return _read(nodes, edges, "flat", width * side * side, out, spikes, labels)


def _read(
    nodes: Any, edges: Any, before: str, width: int, out: Neuron, spikes: Any, labels: Any
) -> tuple[Graph, Any, Any]:
    """Return the network with a fitted readout."""
    nodes = {**nodes, "fc": Linear(weight=np.zeros((CLASSES, width))), "lif": out}
    edges = [*edges, (before, "fc"), ("fc", "lif"), ("lif", "output")]
    graph = Graph({**nodes, "output": Output()}, edges, dt=1e-3)
    probe = Graph(
        {**{n: nodes[n] for n in nodes if n not in ("fc", "lif")}, "output": Output()},
        [e for e in edges if not {"fc", "lif"} & {*_ends(e)}] + [(before, "output")],
        dt=1e-3,
    )
    counts = interpret(probe, spikes).spikes.reshape(*spikes.shape[:2], -1).sum(axis=1)
    wanted = np.eye(CLASSES)[labels] - 0.3
    scale = np.square(counts).mean() * len(counts) * 0.1 + 1e-9
    # of the dual form: there are fewer samples than features
    kernel = counts @ counts.T + scale * np.eye(len(counts))
    weight = (counts.T @ np.linalg.solve(kernel, wanted)).T
    tried = [graph.replace({"fc": replace(nodes["fc"], weight=weight * g)}) for g in GAINS]
    right = [_right(each, spikes[:80], labels[:80]) for each in tried]
    return tried[int(np.argmax(right))], spikes, labels


def _right(graph: Graph, spikes: Any, labels: Any) -> float:
    counts = interpret(graph, spikes).spikes.reshape(*spikes.shape[:2], -1).sum(axis=1)
    return float((counts.argmax(axis=1) == labels).mean())


def _ends(edge: Any) -> tuple[str, str]:
    return (edge.pre, edge.post) if isinstance(edge, Edge) else edge

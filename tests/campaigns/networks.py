"""The 60 networks on which the default is judged without calibration.

48 for the chips of the Xylo family and 12 for Speck. Random ones get weights with which their
neurons fire moderately on input of a rate that is drawn for each network, from 1 spike in 100
steps to 2 spikes a step and channel; the torch-like recurrent ones keep the weights that torch
starts with. The same index gives the same network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from examples import digits
from tests.oracles.xylo_compared import calmed, chained
from tests.oracles.xylo_trained import CALIBRATION, RECIPES, trained_case
from toolchain import extract
from toolchain.arrays import Array
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output, SumPool2d
from toolchain.runs.interpret import interpret

__all__ = ["Network", "networks"]

AUDIO, IMU = ("xylo_a2", "xylo_a3"), "xylo_imu"
SPECKS = ("speck2f", "speck2e")
DT = 1e-3
SEED = 20261


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A network, the chip it is for, and recordings of its own task if it was trained on one."""

    name: str
    kind: str
    chip: str
    graph: Graph
    recordings: Array | None = None


def networks(folder: Path) -> Iterator[Network]:
    """Yield all networks; trained ones are trained once and kept in ``folder``."""
    for index in range(10):
        yield _unlimited(index)
    for kind in ("biases", "outliers", "thresholds", "time constants"):
        for index in range(8):
            yield _random(kind, index)
    for index, name in enumerate(RECIPES):
        case, _ = trained_case(name, folder)
        data = np.concatenate([case.calibration, case.held_out])[: CALIBRATION + 96]
        yield Network(
            name=name, kind="trained", chip=AUDIO[index % 2], graph=case.graph, recordings=data
        )
    for index in range(10):
        yield _speck(index)
    for index in range(2):
        yield _digits(index)


# ---- Xylo ----


def _unlimited(index: int) -> Network:
    """Recurrent neurons without a limit of spikes a step, weights as torch starts them."""
    rng = np.random.default_rng([SEED, 1, index])
    chip = ("xylo_a2", "xylo_a3", "xylo_imu", "xylo_1")[index % 4]
    tau = [float(np.exp(rng.uniform(np.log(2), np.log(25)))) for _ in range(2)]
    decays = {"alpha_mem": np.exp(-1 / tau[0]), "alpha_syn": np.array([np.exp(-1 / tau[1])])}
    inputs, hidden, outputs = (int(rng.integers(*r)) for r in ((6, 17), (12, 48), (2, 9)))
    layers = {
        "hidden": Neuron(shape=(hidden,), v_threshold=1.0, max_spikes=65536, **decays),
        "out": Neuron(shape=(outputs,), v_threshold=1.0, max_spikes=1, **decays),
    }
    graph = chained(rng, inputs, layers, recurrent=1.0)
    first, again, last = "into_hidden", "rec_hidden", "into_out"
    changes: dict[str, Any] = {}
    for name in (first, again, last):
        node = graph[name]
        assert isinstance(node, Linear)
        reach = node.weight.shape[1] ** -0.5
        changes[name] = replace(node, weight=rng.uniform(-reach, reach, node.weight.shape))
    return Network(
        name=f"unlimited {index}", kind="recurrent", chip=chip, graph=graph.replace(changes)
    )


def _random(kind: str, index: int) -> Network:
    rng = np.random.default_rng([SEED, 2, len(kind), index])
    chips = (*AUDIO, IMU) if kind == "biases" else (*AUDIO, IMU, "xylo_1")
    chip = chips[index % len(chips)]
    inputs = int(rng.integers(4, 17))
    sizes = rng.integers(10, 50, int(rng.integers(1, 4)))
    neuron = {"off_grid": bool(index % 2), "biased": kind == "biases"}
    layers = {f"h{k}": _layer(rng, int(n), **neuron) for k, n in enumerate(sizes)}
    if kind == "time constants":
        layers = {name: _many_constants(rng, node) for name, node in layers.items()}
    layers["out"] = _layer(rng, int(rng.integers(2, 9)), cap=1, **neuron)
    recurrent = 0.6 if index % 4 == 3 and kind != "time constants" else None
    graph = chained(rng, inputs, layers, recurrent=recurrent)
    if kind == "outliers":
        graph = _with_outliers(rng, graph)
    rate = np.exp(rng.uniform(np.log(0.01), np.log(2.0)))
    graph = calmed(graph, np.minimum(rng.poisson(rate, (6, 100, inputs)), 15), rng)
    if kind == "thresholds":
        graph = _rescaled(rng, graph, each=index % 2 == 1)
    return Network(name=f"{kind} {index}", kind=kind, chip=chip, graph=graph)


def _layer(
    rng: np.random.Generator, size: int, *, off_grid: bool, biased: bool, cap: int = 31
) -> Neuron:
    def factor() -> float:
        if off_grid:
            return float(np.exp(-1 / np.exp(rng.uniform(np.log(1.6), np.log(25)))))
        return float(1 - 2.0 ** -rng.integers(1, 6))

    mem = factor()
    return Neuron(
        shape=(size,),
        alpha_mem=np.asarray(mem),
        alpha_syn=np.array([factor()]),
        v_threshold=rng.uniform(0.7, 1.4, size),
        bias=rng.normal(0, 0.15 * (1 - mem), size) if biased else np.zeros(()),
        max_spikes=cap,
    )


def _many_constants(rng: np.random.Generator, node: Neuron) -> Neuron:
    """Return the neurons with synapses of several time constants, as a SynNet has them."""
    shifts = 1 + np.arange(node.shape[0]) % int(rng.integers(2, 8))
    return replace(node, alpha_mem=np.asarray(0.5), alpha_syn=(1 - 2.0**-shifts)[:, None])


def _with_outliers(rng: np.random.Generator, graph: Graph) -> Graph:
    """Return the network with 1 or 2 weights of each matrix 3 to 20 times the largest other."""
    changes: dict[str, Any] = {}
    for name, node in graph.of(Linear).items():
        weight = node.weight.copy()
        for _ in range(int(rng.integers(1, 3))):
            place = tuple(int(rng.integers(0, n)) for n in weight.shape)
            sign = rng.choice([-1, 1])
            weight[place] = sign * np.abs(weight).max() * rng.uniform(3, 20)
        changes[name] = replace(node, weight=weight)
    return graph.replace(changes)


def _rescaled(rng: np.random.Generator, graph: Graph, *, each: bool) -> Graph:
    """Multiply thresholds and what they are compared with by 1e-3 to 1e3, by neuron or layer."""
    changes: dict[str, Any] = {}
    for name, node in graph.of(Neuron).items():
        factor = 10 ** rng.uniform(-3, 3, node.shape if each else (1,))
        changes[name] = replace(node, v_threshold=node.v_threshold * factor)
        for weight in (f"into_{name}", f"rec_{name}"):
            if weight in graph:
                matrix = graph[weight]
                assert isinstance(matrix, Linear)
                rows = np.broadcast_to(factor, node.shape).repeat(max(1, node.synapses))
                changes[weight] = replace(matrix, weight=matrix.weight * rows[:, None])
    return graph.replace(changes)


# ---- Speck ----


def _speck(index: int) -> Network:
    """Convolutions and a dense layer: plain, with biases, outliers or thresholds of all sizes."""
    rng = np.random.default_rng([SEED, 3, index])
    kind = ("plain", "biases", "outliers", "thresholds", "biases")[index % 5]
    shape = (int(rng.integers(1, 3)), 8, 8)
    nodes: dict[str, Any] = {"input": Input(shape=shape)}
    for k in range(int(rng.integers(1, 4))):
        channels = int(rng.integers(2, 9))
        kernel = (3, 3) if k or rng.random() < 0.7 else (5, 5)
        weight = rng.normal(0.05, 1, (channels, shape[0], *kernel)) / np.sqrt(shape[0] * 9)
        node = Conv2d(weight=weight, bias=_bias(rng, kind, channels), padding=(1, 1))
        shape = node.output_shape(shape)
        nodes |= {f"conv{k}": node, f"spk{k}": _fire(shape)}
        if k == 0:
            nodes["pool"] = SumPool2d(kernel=(2, 2), stride=(2, 2))
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
    outputs = int(rng.integers(2, 11))
    dense = rng.normal(0.03, 1, (outputs, *shape)) / np.sqrt(np.prod(shape))
    nodes["dense"] = Conv2d(weight=dense, bias=_bias(rng, kind, outputs))
    nodes |= {"spk": _fire((outputs, 1, 1)), "output": Output()}
    graph = Graph.chain(nodes, dt=DT)
    rate = np.exp(rng.uniform(np.log(0.01), np.log(0.5)))
    graph = _lively(graph, rng.poisson(rate, (4, 60, *graph.shape("input"))), rng)
    changes: dict[str, Any] = {}
    for name, node in graph.of(Conv2d).items():
        weight, bias, factor = node.weight.copy(), node.bias, 1.0
        if kind == "outliers":
            weight.flat[rng.integers(0, weight.size)] *= rng.uniform(10, 60)
        if kind == "thresholds":
            factor = float(10 ** rng.uniform(-3, 3))
        neuron = graph[after := name.replace("conv", "spk").replace("dense", "spk")]
        assert isinstance(neuron, Neuron)
        floor = None if neuron.v_min is None else neuron.v_min * factor
        changes[after] = replace(neuron, v_threshold=neuron.v_threshold * factor, v_min=floor)
        bias = None if bias is None else bias * factor
        changes[name] = replace(node, weight=weight * factor, bias=bias)
    return Network(
        name=f"speck {kind} {index}", kind="Speck", chip=SPECKS[index % 2],
        graph=graph.replace(changes),
    )  # fmt: skip


def _bias(rng: np.random.Generator, kind: str, channels: int) -> Array | None:
    return rng.normal(0, 0.05, channels) if kind == "biases" else None


def _fire(shape: tuple[int, ...]) -> Neuron:
    return Neuron(shape=shape, v_threshold=1.0, v_min=-1.0)


def _lively(graph: Graph, spikes: Array, rng: np.random.Generator) -> Graph:
    """Return the network with weights at which each layer spikes at 1 to 8 % a step."""
    for (weight, conv), name in zip(graph.of(Conv2d).items(), graph.of(Neuron), strict=True):
        target, low, high = rng.uniform(0.01, 0.08), -6.0, 6.0
        while high - low > 0.2:
            middle = (low + high) / 2
            tried = graph.replace({weight: replace(conv, weight=conv.weight * 2**middle)})
            rate = interpret(tried, spikes, record=True).layers[name].spikes.mean()
            low, high = (middle, high) if rate < target else (low, middle)
        graph = graph.replace({weight: replace(conv, weight=conv.weight * 2**high)})
    return graph


def _digits(index: int) -> Network:
    """The convolutional network of the examples, trained for a few epochs."""
    data = digits.digits()
    spikes = digits.rate_coded(data.train[:512])
    torch.manual_seed(index)
    model = digits.convolutional_network()
    digits.train(
        model,
        spikes,
        data.train_labels[:512],
        digits.class_counts,
        epochs=3 + 2 * index,
        rate=1e-2,
        temperature=3.0,
        description="",
        show=False,
    )
    graph = extract(model, torch.as_tensor(spikes[:2]).float(), dt=DT)
    return Network(
        name=f"digits {index}",
        kind="Speck",
        chip=SPECKS[index % 2],
        graph=graph,
        recordings=digits.rate_coded(data.test[:128]),
    )

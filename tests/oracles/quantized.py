"""Digests of the integers that every quantizer chooses, for changes that must not change them.

``python -m tests.oracles.quantized --record`` writes the file anew, ``--check`` compares it with
what the quantizers choose now. 30 networks cover every chip and quantizer, with and without
calibration. Weights are multiples of 1/256, so that sums of the float network are exact in any
order; thresholds and decays of some Xylo networks are not.
"""

import argparse
import hashlib
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.chips.speck.graphs import branching, iaf
from tests.chips.xylo.graphs import layered, residual
from tests.oracles.xylo_compared import calmed, chained
from tests.oracles.xylo_compared import random_case as compared
from toolchain.chips.load import family_of, load_chip
from toolchain.chips.xylo.approximations import approximate
from toolchain.ir import (
    Add,
    Conv2d,
    Graph,
    Input,
    Linear,
    MembraneReadout,
    Neuron,
    Output,
    Sensor,
    SumPool2d,
)
from toolchain.passes.exact import EXACT_PASSES

FILE = Path(__file__).parent / "data" / "quantized.json"
SPECKS = ("speck2f", "speck2e", "dynapcnn", "speck2c_mini", "speck2d_mini")
XYLOS = ("xylo_a2", "xylo_a3", "xylo_imu", "xylo_1")


def dyadic(graph):
    """The network with weights and biases of layers that are multiples of 1/256."""

    def rounded(_, node):
        bias = None if node.bias is None else np.rint(256 * node.bias) / 256
        return replace(node, weight=np.rint(256 * node.weight) / 256, bias=bias)

    return graph.map(Conv2d, rounded).map(Linear, rounded)


# ---- Speck ----


def maps(rng, shape, *layers):
    """Layers in a row, each (outputs, kernel, fields of Conv2d, fields of Neuron) or a pool."""
    nodes = {"input": Input(shape=shape)}
    for index, layer in enumerate(layers):
        if isinstance(layer, int):
            name, node = f"pool{index}", SumPool2d(kernel=layer, stride=layer)
        elif not isinstance(layer, tuple):
            name, node = f"sensor{index}", layer
        else:
            outputs, kernel, conv, neuron = layer
            height, width = (kernel, kernel) if kernel else shape[1:]
            inputs = shape[0] // conv.get("groups", 1)
            spread = (height * width * inputs) ** -0.5
            weight = rng.normal(0.3 * spread, 1.5 * spread, (outputs, inputs, height, width))
            name, node = f"conv{index}", Conv2d(weight=weight, **conv)
            nodes[name], shape = node, node.output_shape(shape)
            name, node = f"spk{index}", iaf(shape, **neuron)
        nodes[name], shape = node, node.output_shape(shape)
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


def outliers(rng, graph):
    node = graph["conv0"]
    weight = node.weight.copy()
    weight.flat[rng.integers(weight.size, size=3)] *= 8
    return graph.replace({"conv0": replace(node, weight=weight)})


def biased(rng, outputs):
    return {"bias": rng.normal(0, 0.1, outputs)}


def whole(rng):
    """Numbers that one factor makes integers."""
    graph = maps(rng, (2, 8, 8), (4, 3, {}, {"v_threshold": 1.5}), (3, None, {}, {}))
    return graph.map(Conv2d, lambda _, node: replace(node, weight=np.rint(16 * node.weight) / 16))


def residual_maps(rng):
    """Two outputs, one of them behind the sum of two layers."""
    parts = {"a": (4, 2, 3), "b": (4, 4, 3), "c": (4, 4, 3), "d": (3, 4, 4)}
    nodes = {"input": Input(shape=(2, 8, 8)), "sum": Add()}
    for name, (outputs, inputs, side) in parts.items():
        weight = rng.normal(0.1, 0.4, (outputs, inputs, side, side))
        nodes[f"conv_{name}"] = Conv2d(weight=weight, padding=side // 2 if side == 3 else 0)
        shape = (outputs, 8, 8) if side == 3 else (outputs, 5, 5)
        nodes[name] = iaf(shape, v_threshold=1.5)
    edges = [(f"conv_{name}", name) for name in parts]
    edges += [("input", "conv_a"), ("a", "conv_b"), ("b", "conv_c"), ("b", "sum"), ("c", "sum")]
    edges += [("sum", "conv_d"), ("d", "output"), ("c", "second")]
    nodes |= {"output": Output(), "second": Output(label="second")}
    return Graph(nodes, edges, dt=1e-3)


SAME = {"padding": 1}
ZERO = {"reset": "value"}
MAPS = {
    "one layer": lambda rng: (maps(rng, (2, 9, 7), (5, 3, SAME, {})), 0.2),
    "deep": lambda rng: (
        maps(rng, (2, 16, 16), (8, 3, SAME, {}), 2, (8, 3, SAME, {}), 2, (5, None, {}, {})),
        0.1,
    ),
    "groups": lambda rng: (
        maps(
            rng,
            (4, 8, 8),
            (4, 3, SAME | {"groups": 4}, {}),
            (8, 1, {}, {}),
            (8, 3, {"groups": 2}, {}),
        ),
        0.3,
    ),
    "strides": lambda rng: (
        maps(
            rng,
            (2, 15, 13),
            (6, 3, {"stride": (2, 1), "padding": (1, 0)}, {}),
            (4, 2, {"dilation": (2, 2), "stride": 2}, {}),
            (3, None, {}, {}),
        ),
        0.2,
    ),
    "biases": lambda rng: (
        maps(
            rng,
            (1, 10, 10),
            (6, 3, biased(rng, 6), {"v_min": -0.5}),
            2,
            (4, None, biased(rng, 4), {"v_threshold": 2.0}),
        ),
        0.3,
    ),
    "branches": lambda rng: (branching(rng, size=8, biases=True), 0.2),
    "floors": lambda rng: (
        maps(
            rng,
            (2, 8, 8),
            (4, 3, {}, {"v_min": None}),
            (4, 3, {}, {"v_min": -40.0, "v_threshold": 0.7}),
            (3, None, {}, {"v_init": 0.4, "v_min": -2.0}),
        ),
        0.4,
    ),
    "to zero": lambda rng: (
        maps(rng, (2, 8, 8), (6, 3, {}, ZERO), (6, 3, {}, ZERO), (4, None, {}, ZERO)),
        0.3,
    ),
    "whole": lambda rng: (whole(rng), 0.2),
    "outliers": lambda rng: (
        outliers(rng, maps(rng, (2, 10, 10), (6, 3, {}, {}), 2, (5, None, {}, {}))),
        0.2,
    ),
    "large kernel": lambda rng: (
        maps(rng, (8, 12, 12), (6, None, {}, {}), (4, None, biased(rng, 4), {})),
        0.1,
    ),
    "busy": lambda rng: (
        maps(rng, (2, 8, 8), (8, 3, {}, {"v_threshold": 0.2}), 4, (4, 1, {}, {"v_min": None})),
        8.0,
    ),
    "sensor": lambda rng: (
        maps(
            rng,
            (2, 12, 12),
            Sensor(origin=(1, 2), size=(8, 8), flip_x=True),
            (4, 3, {}, {}),
            2,
            (3, None, {}, {}),
        ),
        0.2,
    ),
    "silent": lambda rng: (
        maps(rng, (1, 6, 6), (4, 3, {}, {"v_threshold": 50.0}), (3, None, {}, {})),
        0.02,
    ),
    "large": lambda rng: (
        maps(rng, (2, 40, 40), (12, 3, SAME, {}), 4, (8, 3, SAME, {}), 2, (10, None, {}, {})),
        0.05,
    ),
    "residual": lambda rng: (residual_maps(rng), 0.2),
}


def with_maps(name):
    """A network of ``MAPS`` and its calibration."""
    index = [*MAPS].index(name)
    graph, rate = MAPS[name](np.random.default_rng([1, index]))
    size = (40, 32) if name == "large" else (6, 40)
    counts = np.random.default_rng([2, index]).poisson(rate, (*size, *graph.shape(graph.input)))
    return dyadic(graph), counts


# ---- Xylo ----


def random_layer(rng, size, synapses=1, **changes):
    fields = {
        "shape": (size,),
        "alpha_mem": 1 - 2.0 ** -int(rng.integers(2, 6)),
        "alpha_syn": 1 - 2.0 ** -rng.integers(1, 5, synapses),
        "v_threshold": rng.integers(200, 320, size) / 256,
        "max_spikes": 31,
    }
    return Neuron(**fields | changes)


def row(rng, *sizes, recurrent=None, synapses=1, **changes):
    """Layers in a row; ``changes`` to the hidden ones."""
    layers = {f"h{k}": random_layer(rng, n, synapses, **changes) for k, n in enumerate(sizes[1:-1])}
    layers["out"] = random_layer(rng, sizes[-1], max_spikes=1)
    graph = chained(rng, sizes[0], layers, recurrent=recurrent)
    return calmed(graph, np.minimum(rng.poisson(0.2, (4, 60, sizes[0])), 15), rng)


def read_out(graph):
    """The network whose outputs are membranes."""
    out = graph["out"]
    return graph.replace(
        {"out": MembraneReadout(shape=out.shape, alpha_mem=out.alpha_mem, alpha_syn=out.alpha_syn)}
    )


def on_time(graph):
    """The residual network with the delays that a chip has."""
    return approximate(graph, load_chip("xylo_a2"), ("delays->hops",))[0]


def with_outlier(graph):
    node = graph["into_h0"]
    weight = node.weight.copy()
    weight[0, 0] = 12 * np.abs(weight).max()
    return graph.replace({"into_h0": replace(node, weight=weight)})


OFF_GRID = {"alpha_mem": float(np.exp(-1 / 7.3)), "alpha_syn": np.array([float(np.exp(-1 / 3.1))])}
DENSE = {
    "small": lambda rng: row(rng, 8, 12, 3),
    "feed-forward": lambda rng: row(rng, 8, 20, 16, 4),
    "recurrent": lambda rng: row(rng, 8, 24, 4, recurrent=0.6),
    "off the grid": lambda rng: row(rng, 8, 16, 12, 4, recurrent=0.5, **OFF_GRID),
    "uncapped": lambda rng: row(rng, 8, 16, 4, recurrent=1.0, max_spikes=65536),
    "outlier": lambda rng: with_outlier(row(rng, 8, 16, 4)),
    "membranes": lambda rng: read_out(row(rng, 8, 16, 4)),
    "layers": lambda rng: layered(rng)[0],
    "several constants": lambda rng: row(
        rng, 8, 24, 4, alpha_syn=(1 - 2.0 ** -(1.0 + np.arange(24) % 5))[:, None]
    ),
    "biases": lambda rng: row(rng, 8, 16, 4, bias=0.03125),
    "residual": lambda rng: on_time(residual(rng, size=8, recurrent=0.5)),
    "two synapses": lambda rng: row(rng, 8, 16, 4, synapses=2),
    "compared": lambda rng: compared(int(rng.integers(24))).graph,
    "large": lambda rng: row(rng, 16, 80, 40, 8, recurrent=0.2),
}
NOT_ON = {"biases": "xylo_1", "two synapses": "xylo_imu", "compared": "xylo_1"}


def with_dense_layers(name):
    """A network of ``DENSE`` and its calibration."""
    index = [*DENSE].index(name)
    graph = DENSE[name](np.random.default_rng([3, index]))
    size = (64, 520) if name == "large" else (12, 80)
    counts = np.random.default_rng([4, index]).poisson(0.2, (*size, *graph.shape(graph.input)))
    return graph if name == "compared" else dyadic(graph), np.minimum(counts, 15)


# ---- record ----


def table():
    """Return chip, quantizer, and network with or without calibration, by what names them.

    Each network is quantized by ``auto`` with calibration, and in one other way on another chip.
    """
    found = {}
    for index, name in enumerate(MAPS):
        other = [("auto", False), ("common", True), ("auto", False), ("common", False)][index % 4]
        for k, (method, calibrated) in enumerate([("auto", True), other]):
            chip = SPECKS[(index + k) % len(SPECKS)]
            found[_key(name, chip, method, calibrated)] = chip, method, with_maps, name, calibrated
    for index, name in enumerate(DENSE):
        chips = [chip for chip in XYLOS if chip != NOT_ON.get(name)]
        other = [("channel", False), ("auto", False), ("global", False)][index % 3]
        for k, (method, calibrated) in enumerate([("auto", True), other]):
            chip = chips[(index + k) % len(chips)]
            found[_key(name, chip, method, calibrated)] = (
                chip,
                method,
                with_dense_layers,
                name,
                calibrated,
            )
    return found


def _key(name, chip, method, calibrated):
    return f"{name}, {chip}, {method}" + ", calibrated" * calibrated


TABLE = table()


def digest(key):
    """Short hashes of the integers, and of the figures in the findings on them."""
    chip, method, build, name, calibrated = TABLE[key]
    family = family_of(load_chip(chip))
    graph, counts = build(name)
    for step in EXACT_PASSES:
        graph = step(graph)
    done, findings = family.quantize(family.shape(graph), counts if calibrated else None, method)
    values = [
        f"{name} {field} ".encode() + bytes_of(value)
        for name, node in done.nodes.items()
        for field, value in node.parameters().items()
    ]
    texts = [
        f"{f.severity.value} {f.rule} {f.where} {re.findall('[0-9.]+', f.message)}"
        for f in findings
    ]
    return {"integers": short(b"".join(values)), "findings": short("".join(texts).encode())}


def bytes_of(value):
    """Return the bytes of an array, whole numbers of any type alike; of another value its text."""
    if not isinstance(value, np.ndarray):
        return repr(value).encode()
    kind = "<i8" if value.dtype.kind in "biu" else "<f8"
    return repr(value.shape).encode() + value.astype(kind).tobytes()


def short(data):
    return hashlib.sha256(data).hexdigest()[:16]


def recorded():
    return json.loads(FILE.read_text(encoding="utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_mutually_exclusive_group(required=True)
    modes.add_argument("--record", action="store_true")
    modes.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    found = {}
    for key in TABLE:
        start = time.process_time()
        found[key] = digest(key)
        sys.stdout.write(f"{time.process_time() - start:7.2f} s  {key}\n")
        sys.stdout.flush()
    if chosen.record:
        FILE.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
        return 0
    before = recorded()
    wrong = [key for key in {**before, **found} if before.get(key) != found.get(key)]
    for key in wrong:
        sys.stdout.write(f"differs: {key}: {before.get(key)} recorded, {found.get(key)} now\n")
    sys.stdout.write(f"{len(found) - len(wrong)} of {len(found)} are as recorded\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

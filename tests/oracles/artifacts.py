"""Records artifacts and what they simulate, so that later versions have to load them alike.

Run from the project's root, in its own environment::

    python -m tests.oracles.artifacts

Each artifact is one that ``Deployment.save`` wrote at the version in its manifest. They are not
recorded anew when the format changes: users have files of the older format, and ``load`` reads
them. Only folders that are missing are written; those of ``format3`` are also edited in tests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from toolchain import Deployment, deploy
from toolchain.chips.speck import SpeckOptions
from toolchain.ir import (
    Add,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Output,
    SumPool2d,
    decay,
)

DATA = Path(__file__).parent / "data" / "artifacts"
DIGESTS = DATA / "digests.json"
DT = 1e-3
STEPS = 40


def dense(sizes: tuple[int, ...], *, recurrent: bool = False) -> Graph:
    """Dense layers and leaky neurons; the first layer may be recurrent."""
    rng = np.random.default_rng(0)
    nodes = {"camera": Input(shape=sizes[:1])}
    leaks = {"alpha_mem": decay(20e-3, DT), "alpha_syn": decay(np.array([5e-3]), DT)}
    for k, (pre, post) in enumerate(pairwise(sizes)):
        nodes[f"fc{k}"] = Linear(weight=rng.normal(0.05, 0.8 / np.sqrt(pre), (post, pre)))
        cap = 31 if k < len(sizes) - 2 else 1
        nodes[f"lif{k}"] = Neuron(shape=(post,), v_threshold=1.0, max_spikes=cap, **leaks)
    nodes["out"] = Output()
    names = [*nodes]
    edges: list[Edge | tuple[str, str]] = [*pairwise(names)]
    if recurrent:
        nodes["rec"] = Linear(weight=rng.normal(0, 0.3 / np.sqrt(sizes[1]), (sizes[1], sizes[1])))
        nodes["sum"] = Add()
        edges.remove(("fc0", "lif0"))
        edges += [("fc0", "sum"), ("sum", "lif0"), Edge("lif0", "rec", 1), ("rec", "sum")]
    return Graph(nodes, edges, dt=DT, provenance={"model": "recorded"})


def maps(side: int = 12) -> Graph:
    """Convolutions with a bias, pooling, and a dense layer."""
    rng = np.random.default_rng(0)
    nodes = {
        "camera": Input(shape=(2, side, side)),
        "conv": Conv2d(weight=rng.normal(0, 0.5, (4, 2, 3, 3)), bias=rng.normal(0, 0.1, 4)),
        "iaf1": Neuron(shape=(4, side - 2, side - 2), v_threshold=1.0, v_min=-1.0),
        "pool": SumPool2d(kernel=2, stride=2),
        "flat": Flatten(),
        "fc": Linear(weight=rng.normal(0, 0.3, (3, (side - 2) ** 2))),
        "iaf2": Neuron(shape=(3,), v_threshold=1.0, v_min=-1.0),
        "out": Output(),
    }
    return Graph.chain(nodes, dt=DT, provenance={"model": "recorded"})


def spikes(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """Counts (2, ``STEPS``, *shape)."""
    return np.random.default_rng(seed).poisson(0.15, (2, STEPS, *shape))


def deployments() -> Iterator[tuple[str, Deployment]]:
    """One of each family, quantizer and core, by the name of its folder."""
    chain = dense((8, 20, 12, 4))
    loop = dense((8, 20, 4), recurrent=True)
    train = spikes((8,), seed=2)
    for method in ("auto", "channel", "global"):
        yield f"xylo_a2-{method}", deploy(chain, "xylo_a2", calibration=train, quantizer=method)
    yield "xylo_a3-recurrent", deploy(loop, "xylo_a3", calibration=train, quantizer="channel")
    yield "xylo_1-channel", deploy(chain, "xylo_1", quantizer="channel")
    images = maps()
    seen = spikes((2, 12, 12), seed=2)
    for method in ("auto", "common"):
        yield (
            f"speck2f-{method}",
            deploy(
                images,
                "speck2f",
                calibration=seen,
                quantizer=method,
                options=SpeckOptions(readout={}),
            ),
        )
    yield "speck2e-auto", deploy(images, "speck2e")


def format3() -> Iterator[tuple[str, Deployment]]:
    """Two of each family, of equal layers and other weights, by the name of their folders."""
    for name, gain in (("one", 1.0), ("two", 1.25)):
        graph = _scaled(dense((6, 9, 3)), "fc0", gain)
        given = {"calibration": spikes((6,), seed=2), "quantizer": "channel"}
        yield f"format3-xylo_a2-{name}", deploy(graph, "xylo_a2", **given)
        options = SpeckOptions(readout={} if gain > 1 else None)
        graph = _scaled(maps(8), "conv", gain)
        yield f"format3-speck2f-{name}", deploy(graph, "speck2f", options=options)


def _scaled(graph: Graph, name: str, gain: float) -> Graph:
    node = graph[name]
    assert isinstance(node, Linear | Conv2d)
    return graph.replace({name: replace(node, weight=gain * node.weight)})


def digests(deployment: Deployment) -> dict[str, str]:
    """Short hashes of every array that ``simulate`` gives on seeded spikes, and of its counts."""
    shape = deployment.graph.shape(deployment.graph.input)
    found = {}
    for timing in ("clocked", "event") if deployment.chip.family == "speck" else ("clocked",):
        run = deployment.simulate(spikes(shape), record=True, timing=timing)
        arrays = {"spikes": run.spikes}
        for name, layer in run.layers.items():
            for field in ("spikes", "v_mem", "i_syn", "i_syn_2"):
                if getattr(layer, field) is not None:
                    arrays[f"{name}.{field}"] = getattr(layer, field)
        found |= {f"{timing}.{name}": digest(array) for name, array in arrays.items()}
        found[f"{timing}.saturations"] = text_digest(dict(run.saturations))
    activity = deployment.estimate(spikes(shape)).activity
    # to twelve digits: the order in which numpy adds floats differs between processors
    rows = [
        [f"{layer.spikes_per_step:.12g}", f"{layer.synops_per_step:.12g}"]
        for layer in activity.layers
    ]
    return {**found, "activity": text_digest(rows)}


def digest(array: np.ndarray) -> str:
    """Of values and shape, whatever the width of the integers."""
    return hashlib.sha256(
        str(array.shape).encode() + np.ascontiguousarray(array, np.int64).tobytes()
    ).hexdigest()[:16]


def text_digest(data: object) -> str:
    """Of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def main() -> None:
    """Write the artifacts that are missing, and their digests."""
    DATA.mkdir(parents=True, exist_ok=True)
    found = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    for name, deployment in (*deployments(), *format3()):
        if name not in found:
            deployment.save(DATA / name)
            found[name] = digests(deployment)
    DIGESTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

"""Time of one step of an online loop: a session that is given step after step."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.figure import Figure
from benchmarks.measure import load, yardstick
from benchmarks.networks import layered
from toolchain import Deployment, deploy
from toolchain.ir import Conv2d, Graph, Input, Neuron, Output

__all__ = ["figures"]

STEPS = 500
"""Steps a repeat: the figure is the least time of one step."""


def speck() -> Deployment:
    """Deploy two convolutions of 34 x 34 pixels."""
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input(shape=(2, 34, 34)),
        "conv0": Conv2d(weight=rng.normal(0, 0.3, (16, 2, 3, 3)), padding=(1, 1)),
        "if0": Neuron(shape=(16, 34, 34), v_threshold=1.0, v_min=-1.0),
        "conv1": Conv2d(weight=rng.normal(0, 0.2, (8, 16, 3, 3)), stride=(2, 2)),
        "if1": Neuron(shape=(8, 16, 16), v_threshold=1.0, v_min=-1.0),
        "output": Output(),
    }
    return deploy(Graph.chain(nodes, dt=1e-3), "speck2f")


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the time of one call of ``Session.run`` with one step, ms."""
    rng = np.random.default_rng(0)
    cases = {
        "Speck": (speck(), (2, 34, 34)),
        "Xylo": (deploy(layered([16, 64, 8]), "xylo_a2"), (16,)),
    }
    for name, (d, shape) in cases.items():
        step = (rng.random((1, 1, *shape)) < 0.01).astype(np.uint8)
        session = d.session()
        times = []
        for _ in range(STEPS * repeats):
            start = time.thread_time()
            session.run(step)
            times.append(time.thread_time() - start)
        least = min(times)
        yield Figure(
            name=f"one online step, {name}", value=1e3 * least, unit="ms", better="less",
            cpu=least, load=load(), scale=yardstick(),
        )  # fmt: skip

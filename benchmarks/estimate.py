"""Time of an estimate from a recorded simulation, relative to the time of the simulation.

A thousand samples run through each network with every state recorded; the estimate uses the
recording and simulates nothing. The time that the simulation spends on counting belongs to the
estimate: it is measured separately and added.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from benchmarks.figure import Figure
from benchmarks.measure import interleaved, load
from toolchain import Deployment, DeployWarning, deploy
from toolchain.chips.speck import counts as speck_counts
from toolchain.chips.xylo import counts as xylo_counts
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output

__all__ = ["figures"]

SAMPLES, MOST = 1000, 0.1


def xylo(sizes: list[int], chip: str) -> Deployment:
    """Deploy leaky layers of the given sizes with random weights to a Xylo chip."""
    rng = np.random.default_rng(0)
    nodes: dict[str, object] = {"input": Input(shape=(sizes[0],))}
    for number, (pre, post) in enumerate(pairwise(sizes)):
        weight = rng.normal(0.15, 0.6, (post, pre)) / np.sqrt(pre)
        nodes[f"fc{number}"] = Linear(weight=weight)
        nodes[f"lif{number}"] = Neuron(
            shape=(post,), v_threshold=0.5, alpha_mem=0.875, alpha_syn=[0.75]
        )
    return deploy(Graph.chain({**nodes, "output": Output()}, dt=1e-3), chip=chip)


def speck(side: int) -> Deployment:
    """Deploy two convolutions with random weights to Speck; ``side`` is the input's, px."""
    rng = np.random.default_rng(0)
    smaller = side - 4
    nodes = {
        "input": Input(shape=(2, side, side)),
        "conv0": Conv2d(weight=rng.normal(0.1, 0.3, (8, 2, 3, 3))),
        "if0": Neuron(shape=(8, side - 2, side - 2), v_threshold=1.0),
        "conv1": Conv2d(weight=rng.normal(0.0, 0.2, (16, 8, 3, 3))),
        "if1": Neuron(shape=(16, smaller, smaller), v_threshold=1.0),
        "output": Output(),
    }
    return deploy(Graph.chain(nodes, dt=1e-3), chip="speck2f")


def counting(d: Deployment, spikes: np.ndarray) -> Callable[[], object]:
    """Return the counting that a simulation does for later estimates, as a function."""
    if d.chip.family == "xylo":
        flat = spikes.reshape(*spikes.shape[:2], -1)
        run = xylo_counts.simulate(d.program, flat, record=True)
        return lambda: xylo_counts.of_run(d.program, flat, run)
    done = speck_counts.simulate(d.program, spikes, record=True)
    return lambda: speck_counts.of_run(d.program, done)


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the largest ratio of an estimate to its simulation, over networks and rates."""
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeployWarning)
        cases = (
            (xylo([8, 60, 60, 8], "xylo_a2"), (8,), 100),
            (xylo([16, 63, 63, 63, 4], "xylo_a3"), (16,), 100),
            (speck(16), (2, 16, 16), 10),
        )
        found = []
        for d, shape, steps in cases:
            for rate in (0.02, 0.2):
                spikes = (rng.random((SAMPLES, steps, *shape)) < rate).astype(np.uint8)
                found.append(ratio(d, spikes, repeats))
    worst = max(found)
    yield Figure(
        name=f"estimate from a recording against its simulation: worst of {len(found)}",
        value=worst[0], unit="x", better="less", cpu=worst[1], load=load(), limit=MOST,
    )  # fmt: skip


def ratio(d: Deployment, spikes: np.ndarray, repeats: int) -> tuple[float, float]:
    """Return the time of counting and estimate as a ratio to a simulation, and in s."""
    recording, count = d.simulate(spikes, record=True), counting(d, spikes)
    if recording.activity != d.estimate(spikes).activity:
        raise SystemExit("counts of a recording differ from those of a simulation")
    times = interleaved(
        {
            "simulated": lambda: d.simulate(spikes, record=True),
            "counted": count,
            "estimated": lambda: d.estimate(recording=recording).as_dict(),
        },
        repeats,
    )
    taken = times["counted"].cpu + times["estimated"].cpu
    return taken / times["simulated"].cpu, taken

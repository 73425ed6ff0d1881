"""Time of an estimate from a recorded simulation, relative to the time of the simulation.

    python benchmarks/estimate_cost.py [repeats]

A thousand samples run through each network with every state recorded; the estimate uses the
recording and simulates nothing. The time that the simulation spends on counting belongs to the
estimate: it is measured separately and added. All measurements are interleaved in one run; times
are the minimum of the repeats. Exits with 1 if an estimate takes more than a tenth of the
simulation.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from rich.console import Console
from rich.table import Table

from toolchain import Deployment, deploy
from toolchain.chips.speck import counts as speck_counts
from toolchain.chips.xylo import counts as xylo_counts
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output

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


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call, s."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def counting(d: Deployment, spikes: np.ndarray) -> Callable[[], object]:
    """Return the counting that a simulation does for later estimates, as a function."""
    if d.chip.family == "xylo":
        flat = spikes.reshape(*spikes.shape[:2], -1)
        run = xylo_counts.simulate(d.program, flat, record=True)
        return lambda: xylo_counts.of_run(d.program, flat, run)
    done = speck_counts.simulate(d.program, spikes, record=True)
    return lambda: speck_counts.of_run(d.program, done)


def measure(d: Deployment, spikes: np.ndarray, repeats: int) -> tuple[float, float]:
    """Return the seconds of a simulation, and of counting plus the estimate from its recording."""
    recording, count = d.simulate(spikes, record=True), counting(d, spikes)
    if recording.activity != d.estimate(spikes).activity:
        raise SystemExit("counts of a recording differ from those of a simulation")
    times = [
        (
            seconds(lambda: d.simulate(spikes, record=True)),
            seconds(count) + seconds(lambda: d.estimate(recording=recording).as_dict()),
        )
        for _ in range(repeats)
    ]
    return min(t for t, _ in times), min(t for _, t in times)


def main() -> None:
    """Print a row for each network and rate."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    rng = np.random.default_rng(1)
    rows = Table(box=None, title_justify="left")
    rows.title = (
        f"{SAMPLES} samples, {os.cpu_count()} processors, Python {platform.python_version()}, "
        f"numpy {np.__version__}"
    )
    for heading in ("network", "steps", "input", "simulated", "estimated", "ratio"):
        rows.add_column(heading, justify="left" if heading == "network" else "right")
    worst = 0.0
    cases = {
        "xylo_a2 8-60-60-8": (xylo([8, 60, 60, 8], "xylo_a2"), (8,), 100),
        "xylo_a3 16-63-63-63-4": (xylo([16, 63, 63, 63, 4], "xylo_a3"), (16,), 100),
        "speck2f 2x16x16, 8 and 16 maps": (speck(16), (2, 16, 16), 10),
    }
    for name, (d, shape, steps) in cases.items():
        for rate in (0.02, 0.2):
            spikes = (rng.random((SAMPLES, steps, *shape)) < rate).astype(np.uint8)
            simulated, estimated = measure(d, spikes, repeats)
            worst = max(worst, estimated / simulated)
            rows.add_row(
                name,
                str(steps),
                f"{100 * rate:.0f} %",
                f"{1e3 * simulated:.1f} ms",
                f"{1e3 * estimated:.2f} ms",
                f"{100 * estimated / simulated:.1f} %",
            )
    Console(width=100).print(rows)
    raise SystemExit(worst > MOST)


if __name__ == "__main__":
    main()

"""Speed of the bit-exact Xylo simulator relative to xylosim, measured in one interleaved run.

    python benchmarks/xylo_speed.py [repeats]

Four networks, each at a low and a high firing rate, over 1000 timesteps. ``one`` is a single
sample with every state recorded, which xylosim always does; ``batch`` is the time per sample of a
batch of 64, outputs only, on all usable cores. Times are the minimum of the repeats; the output
spikes of both are compared first. The last line is the time of a first simulation in a new process
that finds the compiled code in the cache. Needs xylosim, which
`make conformance` installs in an environment of its own.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracles"))

import xylosim_oracle

from toolchain.chips.xylo import XyloProgram, simulate
from toolchain.chips.xylo.store import to_arrays

STEPS, BATCH, INPUTS, OUTPUTS = 1000, 64, 16, 8
RATES = {"lo": 0.02, "hi": 0.08}


def layered(rng: np.random.Generator, sizes: list[int]) -> np.ndarray:
    """Return the recurrent matrix of a feed-forward chain of layers."""
    hidden = sum(sizes)
    weights = np.zeros((hidden, hidden), np.int64)
    start = 0
    for pre, post in pairwise(sizes):
        block = rng.integers(-100, 128, (pre, post))
        weights[start : start + pre, start + pre : start + pre + post] = block
        start += pre
    return weights


def recurrent(rng: np.random.Generator, hidden: int, density: float) -> np.ndarray:
    """Return a random recurrent matrix, slightly inhibitory to keep the activity stable."""
    there = rng.random((hidden, hidden)) < density
    return np.where(there, rng.integers(-127, 121, (hidden, hidden)), 0)


def networks() -> dict[str, tuple[np.ndarray, int, int]]:
    """Return recurrent weights, input expansion and output expansion of each network."""
    rng = np.random.default_rng(0)
    return {
        "SynNet 3 x 24": (layered(rng, [24] * 3), 24, 24),
        "dense recurrent 128": (recurrent(rng, 128, 1.0), 128, 128),
        "feed-forward 16 x 62": (layered(rng, [62] * 16), 62, 62),
        "recurrent 1000, 5 %": (recurrent(rng, 1000, 0.05), 1000, 1000),
    }


def specification(weights: np.ndarray, first: int, last: int, threshold: int) -> dict[str, object]:
    """Return a specification dictionary in rockpool's format."""
    rng = np.random.default_rng(1)
    hidden = len(weights)
    return {
        "weights_in": rng.integers(-60, 128, (INPUTS, first)),
        "weights_rec": weights,
        "weights_out": rng.integers(-127, 128, (last, OUTPUTS)),
        "dash_mem": np.full(hidden, 4),
        "dash_syn": rng.integers(1, 5, hidden),
        "dash_mem_out": np.full(OUTPUTS, 4),
        "dash_syn_out": np.full(OUTPUTS, 3),
        "threshold": np.full(hidden, threshold),
        "threshold_out": np.full(OUTPUTS, 2000),
        "dt": 1e-3,
    }


def tuned(shape: tuple[np.ndarray, int, int], raster: np.ndarray, rate: float) -> XyloProgram:
    """Return the program whose hidden neurons spike about ``rate`` times per step."""
    low, high = 10, 32000
    while high - low > 10:
        middle = (low + high) // 2
        program = XyloProgram.from_specification("xylo_a2", **specification(*shape, middle))
        found = simulate(program, raster, record=True).hidden_spikes
        assert found is not None
        low, high = (middle, high) if found.mean() > rate else (low, middle)
    return program


def arrays(program: XyloProgram) -> dict[str, object]:
    """Return the arrays and metadata of the program for the oracle."""
    stored, metadata = to_arrays(program)
    return {**stored, **metadata}


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call, s."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(program: XyloProgram, rasters: np.ndarray, repeats: int) -> tuple[float, ...]:
    """Return the hidden firing rate and the seconds per sample of xylosim, one and batch."""
    layer, lists = xylosim_oracle.build("v2", arrays(program))
    one = rasters[0].tolist()
    wanted = np.array(layer.evolve(one))
    if not np.array_equal(simulate(program, rasters[0]).spikes[0], wanted):
        raise SystemExit("the output spikes differ from xylosim's")
    rate = float(np.mean(np.asarray(layer.rec_recurrent_spikes)))
    times = [
        (
            seconds(lambda: layer.evolve(one)),
            seconds(lambda: simulate(program, rasters[0], record=True)),
            seconds(lambda: simulate(program, rasters)) / len(rasters),
        )
        for _ in range(repeats)
    ]
    del lists
    return (rate, *(min(column) for column in zip(*times, strict=True)))


FIRST = """
import time
start = time.perf_counter()
import sys
import numpy as np
from toolchain.chips.xylo import XyloProgram, simulate
imported = time.perf_counter()
program = XyloProgram.from_specification(
    "xylo_a2", weights_in=np.full((16, 63), 9), weights_out=np.full((63, 8), 9), dash_mem=4,
    dash_syn=4, dash_mem_out=4, dash_syn_out=4, threshold=500, threshold_out=500,
)
built = time.perf_counter()
simulate(program, np.ones((100, 16), np.uint8), record=True)
done = time.perf_counter()
print(imported - start, built - imported, done - built, done - start, "torch" in sys.modules)
"""


def first_call(repeats: int) -> str:
    """Measure a new process until its first simulation is done, as one line of text."""
    command = [sys.executable, "-c", FIRST]
    # the first of these may have to compile
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(repeats + 1)
    ][1:]
    imports, build, run, whole = (min(float(r[i]) for r in runs) for i in range(4))
    torch = "with" if any(r[4] == "True" for r in runs) else "without"
    return (
        f"first simulation in a new process, {torch} torch: {whole:.2f} s "
        f"(import {imports:.2f} s, program {build:.2f} s, simulate {run:.2f} s)"
    )


def circumstances() -> str:
    """Describe processor, load and versions in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    names = ("xylosim", "numba", "numpy")
    return (
        f"{processor()}, {cores} cores, load {load}; Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in names)
    )


def processor() -> str:
    """Return the name of the processor; on Linux from ``/proc/cpuinfo``."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    console = Console(width=100, highlight=False)
    console.print(circumstances())
    table = Table("network", title=f"Time of a sample of {STEPS} steps, least of {repeats}")
    for name in ("rate", "xylosim", "one", "", "batch", ""):
        table.add_column(name, justify="right")
    rng = np.random.default_rng(2)
    rasters = (rng.random((BATCH, STEPS, INPUTS)) < 0.05).astype(np.uint8)
    ratios = []
    for name, shape in networks().items():
        for wanted in RATES.values():
            program = tuned(shape, rasters[:1], wanted)
            rate, reference, one, batch = compare(program, rasters, repeats)
            ratios.append((reference / one, reference / batch))
            cells = [f"{1e3 * t:.2f} ms" for t in (reference, one, batch)]
            table.add_row(
                name, f"{100 * rate:.1f} %", cells[0],
                cells[1], f"{ratios[-1][0]:.0f}x", cells[2], f"{ratios[-1][1]:.0f}x",
            )  # fmt: skip
    console.print(table)
    texts = ("one, every state recorded", f"of a batch of {BATCH}, outputs only")
    for text, column in zip(texts, zip(*ratios, strict=True), strict=True):
        mean = np.exp(np.mean(np.log(column)))
        console.print(f"{text}: {mean:.0f}x geometric mean, {min(column):.0f}x at worst")
    console.print(first_call(5), soft_wrap=True)
    console.print(circumstances())


if __name__ == "__main__":
    main()

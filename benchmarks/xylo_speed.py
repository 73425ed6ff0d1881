"""Bit-exact simulation of Xylo against xylosim: ratios of one interleaved run.

    python benchmarks/xylo_speed.py [repeats]

Four networks, each at a low and a high firing rate, over 1000 timesteps. ``one`` is a single
sample with every state recorded, which xylosim always does; ``batch`` is a sample out of 64
different ones, outputs only, on all usable cores. Times are the least of the repeats. Needs
xylosim, which `make conformance` installs in an environment of its own.
"""

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracles"))

import xylosim_oracle

from toolchain.chips.xylo import XyloProgram, simulate

STEPS, BATCH, INPUTS, OUTPUTS = 1000, 64, 16, 8
RATES = {"lo": 0.02, "hi": 0.08}


def layered(rng: np.random.Generator, sizes: list[int]) -> np.ndarray:
    """Recurrent matrix of a feed-forward chain of layers."""
    hidden = sum(sizes)
    weights = np.zeros((hidden, hidden), np.int64)
    start = 0
    for pre, post in pairwise(sizes):
        block = rng.integers(-100, 128, (pre, post))
        weights[start : start + pre, start + pre : start + pre + post] = block
        start += pre
    return weights


def recurrent(rng: np.random.Generator, hidden: int, density: float) -> np.ndarray:
    """Random recurrent matrix, slightly inhibitory so that it stays calm."""
    there = rng.random((hidden, hidden)) < density
    return np.where(there, rng.integers(-127, 121, (hidden, hidden)), 0)


def networks() -> dict[str, tuple[np.ndarray, int, int]]:
    """Recurrent weights, how many neurons the input reaches, and how many the output reads."""
    rng = np.random.default_rng(0)
    return {
        "SynNet 3 x 24": (layered(rng, [24] * 3), 24, 24),
        "dense recurrent 128": (recurrent(rng, 128, 1.0), 128, 128),
        "feed-forward 16 x 62": (layered(rng, [62] * 16), 62, 62),
        "recurrent 1000, 5 %": (recurrent(rng, 1000, 0.05), 1000, 1000),
    }


def specification(weights: np.ndarray, first: int, last: int, threshold: int) -> dict[str, object]:
    """A well-known specification dictionary."""
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
    """The program whose hidden neurons spike about ``rate`` times a step."""
    low, high = 10, 32000
    while high - low > 10:
        middle = (low + high) // 2
        program = XyloProgram.from_specification("xylo_a2", **specification(*shape, middle))
        found = simulate(program, raster, record=True).hidden_spikes
        assert found is not None
        low, high = (middle, high) if found.mean() > rate else (low, middle)
    return program


def arrays(program: XyloProgram) -> dict[str, object]:
    """The program as the oracle takes it."""
    held, rest = program.to_arrays()
    return {**held, **rest}


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rng = np.random.default_rng(2)
    rasters = (rng.random((BATCH, STEPS, INPUTS)) < 0.05).astype(np.uint8)
    print(f"{'network':22} {'rate':>6} {'xylosim':>10} {'one':>9} {'':>6} {'batch':>9}")
    ratios = []
    for name, shape in networks().items():
        for rate in RATES.values():
            program = tuned(shape, rasters[:1], rate)
            ratios.append(compare(name, program, rasters, repeats))
    for what, column in zip(("one", "batch"), zip(*ratios, strict=True), strict=True):
        mean = np.exp(np.mean(np.log(column)))
        print(f"{what}: {mean:.0f}x geometric mean, {min(column):.0f}x at worst")


def compare(
    name: str, program: XyloProgram, rasters: np.ndarray, repeats: int
) -> tuple[float, float]:
    """One row: how many times faster one sample and a sample of a batch are."""
    layer, lists = xylosim_oracle.build("v2", arrays(program))
    one = rasters[0].tolist()
    wanted = np.array(layer.evolve(one))
    assert np.array_equal(simulate(program, rasters[0]).spikes[0], wanted)
    rate = float(np.mean(np.asarray(layer.rec_recurrent_spikes)))
    times = [
        (
            seconds(lambda: layer.evolve(one)),
            seconds(lambda: simulate(program, rasters[0], record=True)),
            seconds(lambda: simulate(program, rasters)) / BATCH,
        )
        for _ in range(repeats)
    ]
    reference, single, batch = (min(column) for column in zip(*times, strict=True))
    del lists
    print(
        f"{name:22} {100 * rate:5.1f}% {1e3 * reference:7.2f} ms {1e3 * single:6.2f} ms "
        f"{reference / single:5.0f}x {reference / batch:8.0f}x"
    )
    return reference / single, reference / batch


if __name__ == "__main__":
    main()

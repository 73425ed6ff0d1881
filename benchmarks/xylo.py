"""Speed of the bit-exact Xylo simulator relative to xylosim.

Four networks, each at a low and a high firing rate, over 1000 timesteps: a single sample with every
state recorded, which xylosim always does, and a batch of 64, outputs only, on one thread and on
two. The output spikes of both are compared first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure
from benchmarks.measure import Taken, interleaved, load
from toolchain.chips.xylo import XyloProgram, simulate
from toolchain.chips.xylo.store import to_arrays

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracles"))

import xylosim_oracle  # beside the tests, which are no package of the benchmarks

__all__ = ["figures"]

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


def taken(program: XyloProgram, rasters: np.ndarray, repeats: int) -> dict[str, Taken]:
    """Return the least times of a sample of xylosim, and of ours singly and in batches."""
    layer, lists = xylosim_oracle.build("v2", arrays(program))
    one = rasters[0].tolist()
    if not np.array_equal(simulate(program, rasters[0]).spikes[0], np.array(layer.evolve(one))):
        raise SystemExit("the output spikes differ from xylosim's")
    times = interleaved(
        {
            "xylosim": lambda: layer.evolve(one),
            "one": lambda: simulate(program, rasters[0], record=True, threads=1),
            "batch": lambda: simulate(program, rasters, threads=1),
            "two": lambda: simulate(program, rasters, threads=2),
        },
        repeats,
    )
    del lists  # the layer of xylosim points into them
    return times


ROWS = {
    "one": ("one sample, all states", 1),
    "batch": (f"batch of {BATCH}, outputs, one thread", BATCH),
    "two": (f"batch of {BATCH}, outputs, two threads", BATCH),
}


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the ratios to xylosim: the geometric mean of eight cases and the worst."""
    rasters = (np.random.default_rng(2).random((BATCH, STEPS, INPUTS)) < 0.05).astype(np.uint8)
    cases = [
        taken(tuned(shape, rasters[:1], wanted), rasters, repeats)
        for shape in networks().values()
        for wanted in RATES.values()
    ]
    for name, (text, samples) in ROWS.items():
        # two threads take the time of the clock, one the processor's
        wall = name == "two"
        ratios = [
            samples * (c["xylosim"].wall / c[name].wall if wall else c["xylosim"].cpu / c[name].cpu)
            for c in cases
        ]
        cpu, clock = (sum(getattr(c[name], kind) for c in cases) for kind in ("cpu", "wall"))
        for what, value in (
            ("mean", float(np.exp(np.mean(np.log(ratios))))),
            ("worst", min(ratios)),
        ):
            yield Figure(
                name=f"Xylo against xylosim, {text}: {what} of {len(cases)}", value=value,
                unit="x", better="more", cpu=cpu, wall=clock, load=load(),
            )  # fmt: skip

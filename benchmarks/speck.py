"""Speed of both Speck simulators relative to sinabs.

The N-MNIST network of the NIR paper (2x34x34, convolutions 16-16-8, linear 256-10), 300 steps of
random input at four rates, with random weights that give a similar number of spikes. sinabs runs
plain layers on one thread, without gradients and without recording, and must give the same spikes.
All times are per sample of a batch and include the conversion of the user's arrays. sinabs has no
equivalent of event timing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.figure import Figure
from benchmarks.measure import interleaved, load
from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracles"))

import sinabs_oracle  # beside the tests, which are no package of the benchmarks

__all__ = ["as_events", "figures", "network", "random"]

STEPS, BATCH, REFERENCE = 300, 8, 4
RATES = (0.003, 0.01, 0.03, 0.1)
INPUT = (2, 34, 34)
# outputs, inputs, kernel, stride, padding, pooling after; weights and thresholds of random ones
LAYERS = (
    ("conv0", (16, 2, 5, 5), 2, 1, 1),
    ("conv1", (16, 16, 3, 3), 1, 1, 2),
    ("conv2", (8, 16, 3, 3), 1, 1, 2),
    ("fc0", (256, 8, 4, 4), 1, 0, 1),
    ("fc1", (10, 256, 1, 1), 1, 0, 1),
)
# spikes of each layer for a spike of the input, of the trained network at 1 %
SHARES = (1.0, 1.9, 1.0, 0.8, 0.05)


def random() -> list[tuple[np.ndarray, int]]:
    """Return random weights, each layer with the threshold that gives its share of spikes."""
    rng = np.random.default_rng(0)
    raster = (rng.random((1, STEPS, *INPUT)) < 0.01).astype(np.uint8)
    layers: list[tuple[np.ndarray, int]] = []
    for (_, shape, *_), share in zip(LAYERS, SHARES, strict=True):
        weight = np.clip(rng.normal(0, 40, shape), -127, 127).astype(np.int8)
        low, high = 1, 32767
        while high - low > 1:
            middle = (low + high) // 2
            program = network([*layers, (weight, middle)])
            counts = simulate(program, raster).spike_counts[program.outputs[0]]
            low, high = (middle, high) if counts.sum() > share * raster.sum() else (low, middle)
        layers.append((weight, low))
    return layers


def network(layers: list[tuple[np.ndarray, int]]) -> SpeckProgram:
    """Return the program of the given layers: no biases, lower limit at minus the threshold."""
    cores, shape = [], INPUT
    for index, (weight, threshold) in enumerate(layers):
        name, _, stride, padding, pooling = LAYERS[index]
        following = LAYERS[index + 1 : len(layers)]
        core = SpeckCore(
            name=f"spk_{name}",
            weight_name=name,
            weight=weight,
            stride=(stride, stride),
            padding=(padding, padding),
            input_shape=shape,
            threshold_high=threshold,
            threshold_low=-threshold,
            destinations=tuple(
                Destination(layer=f"spk_{after[0]}", pooling=pooling) for after in following[:1]
            ),
            monitor=not following,
        )
        cores.append(core)
        shape = core.pooled_shape(pooling)
    return SpeckProgram(
        chip="speck2f",
        dt=1e-3,
        input_shape=INPUT,
        cores=tuple(cores),
        inputs=(Destination(layer=cores[0].name),),
        outputs=(cores[-1].name,),
    )


def as_events(raster: np.ndarray) -> np.ndarray:
    """Convert a raster of zeros and ones to events in the middle of steps of 1 ms."""
    step, channel, y, x = raster.nonzero()
    events = np.empty(len(step), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")])
    events["x"], events["y"], events["t"], events["p"] = x, y, 1000 * step + 500, channel
    return events


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the ratios to sinabs at each rate of the input."""
    torch.set_num_threads(1)
    program = network(random())
    for rate in RATES:
        yield from at_rate(program, rate, repeats)


def at_rate(program: SpeckProgram, rate: float, repeats: int) -> Iterator[Figure]:
    """Yield the ratios at one rate, after a comparison of the spikes."""
    rng = np.random.default_rng(1)
    raster = (rng.random((BATCH, STEPS, *INPUT)) < rate).astype(np.uint8)
    events = [as_events(sample) for sample in raster]
    reference = sinabs_oracle.Network(program, raster[:REFERENCE])
    wanted = reference.run()
    run = partial(simulate, program)
    if not all(
        np.array_equal(found.spikes[:REFERENCE], wanted)
        for found in (run(raster), run(events, steps=STEPS))
    ):
        raise SystemExit("the output spikes differ from those of sinabs")
    ours: dict[str, Callable[[], object]] = {
        "raster": lambda: run(raster, threads=1),
        "two cores": lambda: run(raster, threads=2),
        "event timing": lambda: run(events, threads=1, timing="event"),
    }
    times = interleaved({"sinabs": reference.run, **ours}, repeats)
    samples = BATCH / REFERENCE
    for name in ours:
        kind = "wall" if name == "two cores" else "cpu"
        ratio = samples * getattr(times["sinabs"], kind) / getattr(times[name], kind)
        yield Figure(
            name=f"Speck against sinabs, {name}, {100 * rate:g} % input", value=ratio, unit="x",
            better="more", cpu=times[name].cpu, wall=times[name].wall, load=load(),
        )  # fmt: skip

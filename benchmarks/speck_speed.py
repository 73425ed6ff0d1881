"""Speed of both Speck simulators relative to sinabs, measured in one interleaved run.

    OMP_NUM_THREADS=1 python benchmarks/speck_speed.py [repeats] [cnn_sinabs.nir]

The N-MNIST network of the NIR paper (2x34x34, convolutions 16-16-8, linear 256-10), 300 steps of
random input at four rates. With the paper's file its trained weights are used, else random ones
with a similar number of spikes. sinabs runs plain layers on one thread, without gradients and
without recording, and must give the same spikes. All times are per sample of a batch, the minimum
of the repeats, and include the conversion of the user's arrays: ``raster`` is clocked on one
thread, ``events`` the same from event arrays, ``cores`` clocked from rasters on all usable cores,
``event timing`` from event arrays on one thread, which sinabs has no equivalent of. Needs sinabs,
which `make conformance` installs in an environment of its own.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracles"))

import sinabs_oracle
import torch

from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, simulate

STEPS, BATCH, REFERENCE, REPEATS = 300, 8, 4, 7
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
NODES = ("0", "2", "5", "9", "11")


def trained(path: str) -> list[tuple[np.ndarray, int]]:
    """Return 8-bit weights and threshold of each layer from the paper's file."""
    import h5py

    layers = []
    with h5py.File(path) as file:
        for node, (_, shape, *_) in zip(NODES, LAYERS, strict=True):
            weight = file[f"node/nodes/{node}/weight"][()].reshape(shape)
            scale = 127 / np.abs(weight).max()
            layers.append((np.rint(weight * scale).astype(np.int8), round(scale)))
    return layers


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


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call, s."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def as_events(raster: np.ndarray) -> np.ndarray:
    """Convert a raster of zeros and ones to events in the middle of steps of 1 ms."""
    step, channel, y, x = raster.nonzero()
    events = np.empty(len(step), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")])
    events["x"], events["y"], events["t"], events["p"] = x, y, 1000 * step + 500, channel
    return events


def compare(program: SpeckProgram, rate: float, repeats: int) -> None:
    """Measure and print one row."""
    rng = np.random.default_rng(1)
    raster = (rng.random((BATCH, STEPS, *INPUT)) < rate).astype(np.uint8)
    events = [as_events(sample) for sample in raster]
    reference = sinabs_oracle.Network(program, raster[:REFERENCE])
    found = simulate(program, raster)
    wanted = reference.run()
    assert np.array_equal(found.spikes[:REFERENCE], wanted)
    assert np.array_equal(simulate(program, events, steps=STEPS).spikes[:REFERENCE], wanted)
    ours: dict[str, Callable[[], object]] = {
        "raster": lambda: simulate(program, raster, threads=1),
        "events": lambda: simulate(program, events, threads=1),
        "cores": lambda: simulate(program, raster),
        "event timing": lambda: simulate(program, events, threads=1, timing="event"),
    }
    times: dict[str, list[float]] = {name: [] for name in ("sinabs", *ours)}
    for _ in range(repeats):
        times["sinabs"].append(seconds(reference.run) / REFERENCE)
        for name, call in ours.items():
            times[name].append(seconds(call) / BATCH)
    least = {name: 1e3 * min(column) for name, column in times.items()}
    synops = sum(int(n.sum()) for n in found.synops.values()) / BATCH
    cells = [f"{least[name]:6.2f} {least['sinabs'] / least[name]:5.1f}x" for name in ours]
    print(f"{100 * rate:5.1f}% {synops / 1e6:6.2f}M {least['sinabs']:7.2f}  " + "  ".join(cells))


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    layers = trained(sys.argv[2]) if len(sys.argv) > 2 else random()
    program = network(layers)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}; ms a sample, and how many times faster")
    print(
        f"{'input':>6} {'synops':>7} {'sinabs':>7}  {'raster':>13}  {'events':>13}  {'cores':>13}"
        f"  {'event timing':>13}"
    )
    for rate in RATES:
        compare(program, rate, repeats)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

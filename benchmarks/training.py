"""Speed of training on a chip's integers relative to the project's own torch layers.

An epoch: 128 samples in batches of 64, forward, loss and backward, one thread. Four networks of
``CubaLIF``, in floats by torch and as modules of the chip's integers. And the memory of a forward
and a backward pass beyond what goes in and comes out, for two lengths of the samples.

    python -m benchmarks.training STEPS

measures the memory of one length, in a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import exp, log
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.figure import Figure
from benchmarks.measure import in_process, interleaved, load, report
from toolchain import deploy
from toolchain.nn import CubaLIF, LinearTorch, TorchSequential

__all__ = ["figures"]

SAMPLES, BATCH, CLASSES, RATE = 128, 64, 8, 0.15
LONG = 16_000
"""Steps of the longer samples."""
LARGEST = "3 x 63, T 300"
MOST_MEMORY = 2.0
"""Most memory of the longer samples in that of the shorter ones, of which a record is four times as
large: inputs, outputs and their derivatives alone grow."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A network and its input."""

    inputs: int
    layers: tuple[int, ...]
    steps: int
    recurrent: bool = False


NETWORKS = {
    "2 x 48, T 60": Shape(inputs=8, layers=(48, 48), steps=60),
    "3 x 63, T 300": Shape(inputs=16, layers=(63, 63, 63), steps=300),
    "60 recurrent, T 100": Shape(inputs=8, layers=(60,), steps=100, recurrent=True),
    "2 x 32 recurrent, T 300": Shape(inputs=16, layers=(32, 32), steps=300, recurrent=True),
}


def network(shape: Shape) -> torch.nn.Module:
    """Return the float network."""
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    size = shape.inputs
    for neurons in shape.layers:
        layers += [LinearTorch((size, neurons), has_bias=False)]
        layers += [
            CubaLIF(neurons, tau_mem=10e-3, tau_syn=5e-3, threshold=1.0, has_rec=shape.recurrent,
                    max_spikes_per_dt=31, trained=())
        ]  # fmt: skip
        size = neurons
    layers += [LinearTorch((size, CLASSES), has_bias=False)]
    layers += [CubaLIF(CLASSES, tau_mem=10e-3, tau_syn=5e-3, max_spikes_per_dt=1, trained=())]
    return TorchSequential(*layers)


def pair(shape: Shape) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return an epoch of the torch network, and one of the chip's integers."""
    rng = np.random.default_rng(0)
    spikes = (rng.random((SAMPLES, shape.steps, shape.inputs)) < RATE).astype(np.float32)
    labels = torch.from_numpy(rng.integers(0, CLASSES, SAMPLES))
    net = network(shape)
    deployment = deploy(net, "xylo_a2", sample=spikes[:1], quantizer="channel")
    module = deployment.as_module(train=("weight", "threshold"), threads=1)
    data = torch.from_numpy(spikes)

    def epoch(model: torch.nn.Module) -> None:
        for start in range(0, SAMPLES, BATCH):
            part = slice(start, start + BATCH)
            found = model(data[part])
            found = found[0] if isinstance(found, tuple) else found
            loss: Any = functional.cross_entropy(found.sum(1), labels[part])
            loss.backward()

    return partial(epoch, net), partial(epoch, module)


def long_pass(steps: int) -> Callable[[], object]:
    """Return a forward and a backward pass of 64 long samples through the largest network."""
    shape = NETWORKS[LARGEST]
    sample = np.zeros((1, 4, shape.inputs), np.float32)
    deployment = deploy(network(shape), "xylo_a2", sample=sample, quantizer="channel")
    program = deployment.on_chip.trainable(deployment.quantized)
    values = {
        name: np.asarray(getattr(deployment.quantized[p.node], p.field))
        for name, p in program.parameters.items()
    }

    def run(steps: int) -> None:
        rng = np.random.default_rng(0)
        spikes = (rng.random((BATCH, steps, shape.inputs), np.float32) < RATE).view(np.uint8)
        tape = program.run(
            values, spikes, layers=program.outputs, timing="clocked", gradient=True, threads=1
        )
        outer = {name: np.ones(v.shape, np.float32) for name, v in tape.values.items()}
        program.gradients(tape, outer, wanted=[*values])

    run(64)  # compiles
    return partial(run, steps)


def memory() -> Figure:
    """Return the memory of long samples in that of samples a quarter as long."""
    short, long = (
        in_process("-m", "benchmarks.training", str(n)).growth for n in (LONG // 4, LONG)
    )
    return Figure(
        name=f"memory of training on Xylo's integers, T {LONG} to T {LONG // 4}",
        value=long / short,
        unit="x",
        better="less",
        load=load(),
        limit=MOST_MEMORY,
    )


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the ratio of each network and their geometric mean."""
    torch.set_num_threads(1)
    ratios = []
    for name, shape in NETWORKS.items():
        floats, integers = pair(shape)
        times = interleaved({"torch": floats, "chip": integers}, repeats)
        ratios.append(times["torch"].cpu / times["chip"].cpu)
        yield Figure(
            name=f"training on Xylo's integers: {name}",
            value=ratios[-1],
            unit="x",
            better="more",
            cpu=times["chip"].cpu,
            wall=times["chip"].wall,
            load=load(),
        )
    mean = exp(sum(map(log, ratios)) / len(ratios))
    yield Figure(
        name="training on Xylo's integers: geometric mean", value=mean, unit="x", better="more"
    )
    yield memory()


if __name__ == "__main__":
    report(partial(long_pass, int(sys.argv[1])))

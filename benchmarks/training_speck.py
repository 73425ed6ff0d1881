"""Speed of training on Speck's integers relative to the project's own torch layers.

The convolutional network of ``examples/digits.py`` with random weights, 128 samples of 16 steps in
batches of 64: forward, loss and backward on one thread, in floats by torch and as a module of the
chip's integers. Torch has one time for both rows: it knows no order of events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.figure import Figure
from benchmarks.measure import interleaved, load
from toolchain import deploy
from toolchain.nn import FlattenTime, IAFSqueeze, SumPool2d, reset_states

__all__ = ["figures"]

SAMPLES, BATCH, CLASSES, STEPS, RATE = 128, 64, 10, 16, 0.3
WEIGHTS = 2.5
"""Factor of torch's initial weights with which a tenth of the neurons fires in a step."""


def network() -> nn.Module:
    """Return the float network."""
    torch.manual_seed(0)
    neurons = partial(IAFSqueeze, num_timesteps=STEPS, spike_threshold=1.0, min_v_mem=-1.0)
    convolution = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
    layers = [FlattenTime(), convolution(1, 16), neurons(), SumPool2d(2), convolution(16, 32)]
    layers += [neurons(), SumPool2d(2), nn.Flatten(), nn.Linear(128, CLASSES, bias=False)]
    net = nn.Sequential(*layers, neurons())
    with torch.no_grad():
        for weight in net.parameters():
            weight *= WEIGHTS if weight.ndim > 1 else 1.0
    return net


def epochs() -> dict[str, Callable[[], object]]:
    """Return an epoch of the torch network, and of the chip's integers in both timings."""
    rng = np.random.default_rng(0)
    spikes = (rng.random((SAMPLES, STEPS, 1, 8, 8)) < RATE).astype(np.float32)
    labels = torch.from_numpy(rng.integers(0, CLASSES, SAMPLES))
    net, data = network(), torch.from_numpy(spikes)
    deployment = deploy(net, "speck2f", sample=spikes[:1], dt=1e-3, quantizer="common")

    def epoch(model: nn.Module) -> None:
        for start in range(0, SAMPLES, BATCH):
            part = slice(start, start + BATCH)
            reset_states(model)
            counts = model(data[part]).reshape(BATCH, STEPS, CLASSES).sum(1)
            functional.cross_entropy(counts, labels[part]).backward()

    train = ("weight", "threshold")
    clocked = deployment.as_module(train=train, threads=1)
    event = deployment.as_module(timing="event", train=train, threads=1)
    models = {"torch": net, "clocked": clocked, "event": event}
    return {name: partial(epoch, model) for name, model in models.items()}


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the ratio of each timing."""
    torch.set_num_threads(1)
    times = interleaved(epochs(), repeats)
    for timing in ("clocked", "event"):
        yield Figure(
            name=f"training on Speck's integers: network of the digits, {timing} timing",
            value=times["torch"].cpu / times[timing].cpu,
            unit="x",
            better="more",
            cpu=times[timing].cpu,
            wall=times[timing].wall,
            load=load(),
        )

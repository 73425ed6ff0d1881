"""A spiking network with a target of synops per layer and a minimum firing rate.

    python examples/synops_snn.py [--out out/synops] [--epochs 100]

The network, its input and the results before training are those of sinabs' tutorial "Training an
SNN with fewer SynOps and monitoring the firing rate"; only the import lines differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from rich.progress import track
from torch import Tensor, nn

from toolchain.nn import FlattenTime, IAFSqueeze, SumPool2d, UnflattenTime, reset_states, zero_grad
from toolchain.nn.state import StatefulLayer
from toolchain.synops import (
    firing_rate_loss,
    firing_rate_per_neuron_hook,
    layer_synops_loss,
    register_synops_hooks,
)

mpl.use("Agg")

BATCH, STEPS = 5, 10
TARGET_SYNOPS = 1e5  # per timestep and layer
TARGET_RATE = 0.5  # spikes per timestep and neuron


def network() -> nn.Sequential:
    """Build three convolutions and a dense layer for 28 x 28 pixels, as in the tutorial."""
    return nn.Sequential(
        FlattenTime(),
        nn.Conv2d(1, 16, 5, bias=False),
        IAFSqueeze(batch_size=BATCH),
        SumPool2d(2),
        nn.Conv2d(16, 32, 5, bias=False),
        IAFSqueeze(batch_size=BATCH),
        SumPool2d(2),
        nn.Conv2d(32, 120, 4, bias=False),
        IAFSqueeze(batch_size=BATCH),
        nn.Flatten(),
        nn.Linear(120, 10, bias=False),
        IAFSqueeze(batch_size=BATCH),
        UnflattenTime(batch_size=BATCH),
    )


def rates(model: nn.Sequential) -> dict[int, Tensor]:
    """Return the spikes per timestep of each neuron in the last pass, by index of the layer."""
    return {
        index: layer.hook_data["firing_rate_per_neuron"].detach().flatten()
        for index, layer in enumerate(model)
        if isinstance(layer, StatefulLayer)
    }


def report(model: nn.Sequential) -> None:
    """Print the synops of each layer and the share of its silent neurons."""
    print(f"Total: {model.hook_data['total_synops_per_timestep']:.2e} SynOps per step")
    for index, synops in model.hook_data["synops_per_timestep"].items():
        print(f"- Layer {index}: {synops:.2e} SynOps per step")
    for index, rate in rates(model).items():
        print(f"- Layer {index}: {100 * float((rate == 0).float().mean()):.2f} % silent neurons")


def main() -> None:
    """Train for the targets and draw the synops and the rates before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/synops"))
    parser.add_argument("--epochs", type=int, default=100)
    arguments = parser.parse_args()

    torch.manual_seed(1)
    snn = network()
    register_synops_hooks(snn)
    for layer in snn:
        if isinstance(layer, StatefulLayer):
            layer.register_forward_hook(firing_rate_per_neuron_hook)
    spikes = torch.ones(BATCH, STEPS, 1, 28, 28)
    snn(spikes)
    print("before training")
    report(snn)
    before = rates(snn)
    history = train(snn, spikes, arguments.epochs)
    reset_states(snn)
    snn(spikes)
    print("after training")
    report(snn)
    print(f"picture: {draw(history, before, rates(snn), arguments.out / 'synops_snn.png')}")


def train(snn: nn.Sequential, spikes: Tensor, epochs: int) -> dict[int, list[float]]:
    """Train, and return the synops of each layer in every epoch."""
    optimizer = torch.optim.Adam(snn.parameters(), lr=1e-3)
    history: dict[int, list[float]] = {}
    for _ in track(range(epochs), description="training"):
        reset_states(snn)
        zero_grad(snn)
        snn(spikes)
        loss = 0.01 * layer_synops_loss(snn, TARGET_SYNOPS) + firing_rate_loss(snn, TARGET_RATE)
        loss.backward()
        optimizer.step()
        for index, synops in snn.hook_data["synops_per_timestep"].items():
            history.setdefault(index, []).append(synops.item())
    return history


def draw(
    history: dict[int, list[float]],
    before: dict[int, Tensor],
    after: dict[int, Tensor],
    path: Path,
) -> Path:
    """Draw the synops over training and the distribution of rates before and after."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    left, *others = figure.subplots(1, 3)
    for index, synops in history.items():
        left.plot(synops, label=f"layer {index}")
    left.axhline(TARGET_SYNOPS, color="0.2", linestyle="--", label="target")
    left.set_yscale("log")
    left.set_xlabel("epoch")
    left.set_ylabel("synops per step")
    left.legend()
    for axes, rates_of, title in zip(
        others, (before, after), ("before training", "after training"), strict=True
    ):
        for index, rate in rates_of.items():
            axes.hist(rate.numpy(), bins=24, density=True, alpha=0.6, label=f"layer {index}")
        axes.axvline(TARGET_RATE, color="0.2", linestyle="--")
        axes.set_xlabel("spikes per step and neuron")
        axes.set_ylabel("density")
        axes.set_title(title)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    main()

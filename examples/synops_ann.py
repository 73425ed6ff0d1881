"""A convolutional network of NeuromorphicReLUs, trained to a target of synaptic operations.

    python examples/synops_ann.py [--out out/synops] [--epochs 12]

The steps are those of sinabs' tutorial "Training an ANN with fewer SynOps", on scikit-learn's
handwritten digits (enlarged to 28 x 28 pixels of 0 to 255) where the tutorial downloads MNIST.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from digits import Digits, Ints, accuracy, digits
from matplotlib.figure import Figure
from rich.progress import track
from torch import Tensor, nn

from toolchain.nn import NeuromorphicReLU
from toolchain.synops import register_synops_hooks

mpl.use("Agg")

SHARE = 0.4  # target relative to the synops before training; from 1e8 to 4e7 in the tutorial


def network() -> nn.Sequential:
    """Build the tutorial's network."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, bias=False),
        NeuromorphicReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 5, bias=False),
        NeuromorphicReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 120, 4, bias=False),
        NeuromorphicReLU(),
        nn.Flatten(),
        nn.Linear(120, 10, bias=False),
    )


def enlarge(images: Ints) -> Tensor:
    """Return images (n, 1, 28, 28) of 0..255 from scans (n, 8, 8) of 0..16."""
    large = np.kron(images, np.ones((1, 3, 3))) * (255 / 16)
    return torch.as_tensor(np.pad(large, ((0, 0), (2, 2), (2, 2)))).float().unsqueeze(1)


def main() -> None:
    """Train with the target and draw both terms of the loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/synops"))
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()

    data = digits()
    torch.manual_seed(1)
    ann = network()
    register_synops_hooks(ann)
    test = enlarge(data.test)
    start = synops(ann, test)
    print(f"before training: {start:.3g} SynOps per step")
    for index, layer in ann.hook_data["synops_per_timestep"].items():
        print(f"- Layer {index}: {layer:.2e} SynOps per step")
    losses = train(ann, data, SHARE * start, arguments.epochs)
    end = synops(ann, test)
    with torch.no_grad():
        percent = accuracy(ann(test), data.test_labels)
    print(f"after training: {end:.3g} SynOps per step, target {SHARE * start:.3g}")
    print(f"test accuracy: {percent:.1f} %")
    print(f"picture: {draw(losses, arguments.out / 'synops_ann.png')}")


def synops(ann: nn.Sequential, images: Tensor) -> float:
    """Return the mean synaptic operations per image."""
    with torch.no_grad():
        ann(images)
    return float(ann.hook_data["total_synops_per_timestep"])


def train(
    ann: nn.Sequential, data: Digits, target: float, epochs: int
) -> list[tuple[float, float]]:
    """Train, and return both terms of the loss (prediction, synops) of each training step."""
    images, labels = enlarge(data.train), torch.as_tensor(data.train_labels)
    optimizer = torch.optim.Adam(ann.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(0)
    losses = []
    for _ in track(range(epochs), description="training"):
        for part in torch.randperm(len(images), generator=order).split(128):
            optimizer.zero_grad()
            model_loss = nn.functional.cross_entropy(ann(images[part]), labels[part])
            total = ann.hook_data["total_synops_per_timestep"]
            synops_loss = 10.0 * (total / target - 1).square()
            (model_loss + synops_loss).backward()
            optimizer.step()
            losses.append((model_loss.item(), synops_loss.item()))
    return losses


def draw(losses: list[tuple[float, float]], path: Path) -> Path:
    """Draw both terms over the training steps."""
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    for values, name in zip(zip(*losses, strict=True), ("prediction", "synops"), strict=True):
        axes.plot(values, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("training step")
    axes.set_ylabel("loss")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    main()

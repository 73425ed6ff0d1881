"""SynNet: build, inspect, modify and train it, and deploy it to Xylo.

    python examples/synnet.py [--out out/synnet] [--epochs 10]

The steps are those of rockpool's tutorial "The SynNet architecture"; only the import lines differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from torch.nn import MSELoss
from torch.optim import Adam

from toolchain import deploy
from toolchain.nn import LIFTorch, SynNet, reset_states

mpl.use("Agg")


def build(**options: object) -> SynNet:
    """Build three hidden layers with 2, 4 and 8 synaptic time constants, as in the tutorial."""
    return SynNet(
        n_channels=16,
        n_classes=1,
        size_hidden_layers=[24, 24, 24],
        time_constants_per_layer=[2, 4, 8],
        **options,
    )


def main() -> None:
    """Run the steps of the tutorial, then deploy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/synnet"))
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()

    net = build()
    print(net)
    print(net.seq)
    print(f"lif_names: {net.lif_names}")
    print(f"picture: {draw(net, arguments.out / 'time_constants.png')}")

    net = build(output="vmem")  # the membrane of the readout layer as the output
    net.output = "spike"  # its spikes again
    build(neuron_model=LIFTorch)
    trainable = build(train_time_constants=True, train_threshold=True)
    print({name: value.shape for name, value in trainable.seq["0_neurons"].parameters().items()})
    print(build(p_dropout=0.1))

    toy = train(arguments.epochs)
    raster = (torch.rand(8, 100, 4) < 0.2).float()
    reset_states(toy)
    d = deploy(toy, chip="xylo", sample=raster, calibration=raster.numpy())
    print(d)


def draw(net: SynNet, path: Path) -> Path:
    """Draw the synaptic time constants of each layer, ms."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    for name in net.lif_names[:-1]:
        axes.plot(net.seq[name].tau_syn.flatten() / 1e-3, label=f"Layer {name}")
    axes.set_xlabel("Neuron ID")
    axes.set_ylabel("Synaptic time constant (ms)")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def train(epochs: int) -> SynNet:
    """Train the tutorial's toy network to spike in every timestep.

    With more input and a higher learning rate than there, for a visible change in ten epochs.
    """
    torch.manual_seed(0)
    net = SynNet(n_channels=4, n_classes=1, size_hidden_layers=[4])
    optimizer = Adam(net.parameters().astorch(), lr=1e-1)
    loss_fun = MSELoss()
    spikes = (torch.rand(1, 100, 4) < 0.2) * 1.0
    target = torch.ones(1, 100, 1)
    for epoch in range(epochs):
        optimizer.zero_grad()
        output, _, _ = net(spikes)
        loss = loss_fun(output, target)
        loss.backward()
        optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.4f}")
    return net


if __name__ == "__main__":
    main()

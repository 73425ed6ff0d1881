"""A network trained further on the chip's own integers.

    python examples/train_on_chip.py [--out out/train_on_chip] [--epochs 12]

A recurrent network with time constants that Xylo does not hold is trained in torch, deployed, and
trained on by ``Deployment.fit``: the forward pass is the simulation of the chip, bit for bit.
Prints the accuracy of each on digits that nothing was trained or chosen on; saves the artifact and
a picture of the training. About a minute on two cores; no internet connection is used.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from digits import Digits, Ints, columns_over_time, digits, train
from torch import nn

from toolchain import Deployment, deploy
from toolchain.nn import CubaLIF, reset_states
from toolchain.training import History

mpl.use("Agg")
DT = 1e-3
CLASSES = 8  # Xylo Audio 2 has eight outputs: the digits 0 to 7
FLOAT_EPOCHS = 15
CALIBRATION = 64  # digits on which the integers are searched


def network() -> nn.Sequential:
    """Build 8 -> 30 -> 30 -> 8 neurons, with recurrence in the hidden layers."""

    def neurons(number: int, most: int, recurrent: bool) -> CubaLIF:
        return CubaLIF(
            number, tau_mem=12e-3, tau_syn=6e-3, dt=DT, has_rec=recurrent, max_spikes_per_dt=most,
            trained=(),
        )  # fmt: skip

    net = nn.Sequential(
        OrderedDict(
            fc1=nn.Linear(8, 30, bias=False),
            lif1=neurons(30, 31, True),
            fc2=nn.Linear(30, 30, bias=False),
            lif2=neurons(30, 31, True),
            fc3=nn.Linear(30, CLASSES, bias=False),
            lif3=neurons(CLASSES, 1, False),
        )
    )
    for name, weight in net.named_parameters():
        size = 0.5 if name.endswith("w_rec") else 1.5
        nn.init.normal_(weight, std=size / weight.shape[1] ** 0.5 * DT / 6e-3)
    return net


def spike_counts(spikes: torch.Tensor) -> torch.Tensor:
    """Sum spikes over time."""
    return spikes.sum(dim=1)


def some_digits() -> Digits:
    """Return the digits 0 to 7."""
    data = digits()
    train_part, test_part = data.train_labels < CLASSES, data.test_labels < CLASSES
    return Digits(
        train=data.train[train_part],
        train_labels=data.train_labels[train_part],
        test=data.test[test_part],
        test_labels=data.test_labels[test_part],
    )


def main() -> None:
    """Train in torch, deploy, train on the chip, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("out/train_on_chip"))
    parser.add_argument("--epochs", type=int, default=12, help="epochs on the chip")
    parser.add_argument("--float-epochs", type=int, default=FLOAT_EPOCHS, help="epochs in torch")
    parser.add_argument("--samples", type=int, help="digits to train on; fewer for a quick run")
    parser.add_argument("--quantizer", default="auto")
    arguments = parser.parse_args()

    data = some_digits()
    spikes, test = columns_over_time(data.train[: arguments.samples]), columns_over_time(data.test)
    labels = data.train_labels[: arguments.samples]
    later = slice(0, len(spikes) // 5)  # kept from torch too, to choose the epoch on the chip
    early = slice(len(spikes) // 5, None)
    torch.manual_seed(0)
    model = network()
    train(
        model, spikes[early], labels[early], spike_counts, epochs=arguments.float_epochs,
        rate=0.01, temperature=3.0, description="training in torch",
    )  # fmt: skip
    d = deploy(
        model, "xylo_a2", sample=torch.as_tensor(spikes[:2]).float(), dt=DT,
        calibration=spikes[early][:CALIBRATION], quantizer=arguments.quantizer,
    )  # fmt: skip
    trained = d.fit(
        spikes[early], labels[early], validation=(spikes[later], labels[later]),
        epochs=arguments.epochs,
    )  # fmt: skip
    assert trained.history is not None
    print(trained.history)
    print(f"\naccuracy on {len(test)} other digits")
    print(f"  network in torch            {float_accuracy(model, test, data.test_labels):5.1f} %")
    for name, each in (("deployed", d), ("trained on the chip", trained)):
        print(f"  {name:<26}  {chip_accuracy(each, test, data.test_labels):5.1f} %")
    print(f"artifact: {trained.save(arguments.out / 'artifact').name}")
    draw(trained.history, arguments.out / "training.png")


def float_accuracy(model: nn.Module, spikes: Ints, labels: Ints) -> float:
    """Return the accuracy of the network in torch, percent."""
    with torch.no_grad():
        reset_states(model)
        counts = spike_counts(model(torch.as_tensor(spikes).float()))
        reset_states(model)
    return 100.0 * float((counts.argmax(dim=1).numpy() == labels).mean())


def chip_accuracy(d: Deployment, spikes: Ints, labels: Ints) -> float:
    """Return the accuracy on the chip, percent."""
    counts = np.asarray(d.simulate(spikes).spikes.sum(axis=1))
    return 100.0 * float((counts.argmax(axis=1) == labels).mean())


def draw(history: History, path: Path) -> None:
    """Draw the accuracy of each epoch on the samples that chose it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    scores = [100 * epoch.score.value for epoch in history.epochs if epoch.score is not None]
    axes.plot(scores, "o-")
    axes.axvline(history.choice, color="0.7", zorder=0)
    axes.set_xlabel("epoch on the chip, 0 is the start")
    axes.set_ylabel(f"accuracy on {history.validation} samples, %")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()

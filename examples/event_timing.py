"""A convolutional network trained for Speck's event timing, without labels.

    python examples/event_timing.py [--out out/event_timing] [--epochs 6]

Speck processes one event after the other, not one timestep after the other as in training, so that
its spike counts differ from those of the trained network. ``Deployment.fit`` trains the integers to
the counts of the trained network, in the arithmetic and the timing of the chip. Prints how far the
output counts agree, before and after, on digits that nothing was trained on. About two minutes on
two cores; no internet connection is used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from digits import (
    Ints,
    accuracy,
    class_counts,
    convolutional_network,
    digits,
    rate_coded,
    train,
)

from toolchain import Deployment, deploy
from toolchain.runs import count_agreement


def main() -> None:
    """Train in torch, deploy, train for event timing, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("out/event_timing"))
    parser.add_argument("--epochs", type=int, default=6, help="epochs in event timing")
    parser.add_argument("--float-epochs", type=int, default=8, help="epochs in torch")
    parser.add_argument("--samples", type=int, default=1347, help="digits to train on")
    arguments = parser.parse_args()

    data = digits()
    spikes, test = rate_coded(data.train[: arguments.samples]), rate_coded(data.test)
    torch.manual_seed(0)
    model = convolutional_network()
    train(
        model, spikes, data.train_labels[: arguments.samples], class_counts,
        epochs=arguments.float_epochs, rate=0.005, temperature=4.0,
        description="training in torch",
    )  # fmt: skip
    d = deploy(
        model, "speck2f", sample=torch.as_tensor(spikes[:4]).float(), dt=1e-3,
        calibration=spikes[:64],
    )  # fmt: skip
    trained = d.fit(spikes, objective="reference", timing="event", epochs=arguments.epochs)
    print(trained.history)
    print(f"\n{len(test)} other digits, in event timing")
    for name, each in (("deployed", d), ("trained for event timing", trained)):
        print(f"  {name:<24}  {result(d, each, test, data.test_labels)}")
    print(f"artifact: {trained.save(arguments.out / 'artifact').name}")


def result(reference: Deployment, d: Deployment, spikes: Ints, labels: Ints) -> str:
    """Return agreement with the trained network and accuracy as text."""
    wanted = reference.reference(spikes).spikes
    found = d.simulate(spikes, timing="event").spikes
    agreement = count_agreement(np.asarray(wanted), found)
    return (
        f"counts agree to {100 * agreement:.1f} %, "
        f"accuracy {accuracy(class_counts(found), labels):.1f} %"
    )


if __name__ == "__main__":
    main()

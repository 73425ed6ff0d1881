"""Training on the chip's integers, on digits: accuracy before and after, with ranges.

    python benchmarks/training_digits.py [--record] [--seeds 0 1 2 3 4] [--splits 0 1 2] [kind ...]

Eight classes of scikit-learn's digits, 361 of them for testing, enter as columns over time. Float
networks whose time constants Xylo does not hold are trained in torch, deployed with ``auto``, and
trained on the chip by ``Deployment.fit`` with its defaults; 20 % of the training samples choose the
epoch. Every figure is the accuracy on the test samples, which nothing was chosen by. ``--record``
writes the table and its data into docs/training.md and the test data.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

from digits import columns_over_time  # noqa: E402

from toolchain import Deployment, DeployWarning, deploy  # noqa: E402
from toolchain.nn import CubaLIF, Ramp, reset_states  # noqa: E402

CLASSES, DT = 8, 1e-3
CALIBRATION = 256
BATCH = 128


@dataclass(frozen=True)
class Kind:
    """A network: time constants in s, and neurons of its two hidden layers."""

    name: str
    tau_mem: float
    tau_syn: float
    neurons: int
    recurrent: bool = False

    def build(self, networks: int = 1) -> nn.Sequential:
        """Return that many untrained networks side by side, as one."""

        def lif(neurons: int, most: int, recurrent: bool = False) -> CubaLIF:
            return CubaLIF(
                neurons, tau_mem=self.tau_mem, tau_syn=self.tau_syn, dt=DT, has_rec=recurrent,
                max_spikes_per_dt=most, trained=(),
            )  # fmt: skip

        width, outputs = networks * self.neurons, networks * CLASSES
        linears = (
            nn.Linear(8, width, bias=False),
            nn.Linear(width, width, bias=False),
            nn.Linear(width, outputs, bias=False),
        )
        hidden = (lif(width, 31, self.recurrent) for _ in range(2))
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        both = zip(linears, (*hidden, lif(outputs, 1)), strict=True)
        for number, (fc, neurons) in enumerate(both, 1):
            layers |= {f"fc{number}": fc, f"lif{number}": neurons}
        return nn.Sequential(layers)

    def start(self, seed: int) -> nn.Sequential:
        """Return one untrained network with random weights."""
        model, rng = self.build(), torch.Generator().manual_seed(seed)
        for name, weight in model.named_parameters():
            size = 0.5 if name.endswith("w_rec") else 1.5
            std = size / weight.shape[1] ** 0.5 * DT / self.tau_syn
            nn.init.normal_(weight, std=std, generator=rng)
        return model


KINDS = (
    Kind("10/5 ms, 2 x 48", 10e-3, 5e-3, 48),
    Kind("12/6 ms, 2 x 48", 12e-3, 6e-3, 48),
    Kind("10/5 ms, 2 x 30 recurrent", 10e-3, 5e-3, 30, recurrent=True),
    Kind("12/6 ms, 2 x 30 recurrent", 12e-3, 6e-3, 30, recurrent=True),
)


@dataclass(frozen=True)
class Data:
    """Spikes (n, time, 8) and labels (n,), for training, choice of the epoch, and testing."""

    train: tuple[Any, Any]
    validation: tuple[Any, Any]
    test: tuple[Any, Any]


def data_of(split: int) -> Data:
    """Return the digits 0 to 7, a quarter of them for testing."""
    images, labels = load_digits(return_X_y=True)
    chosen = labels < CLASSES
    images, labels = images[chosen].reshape(-1, 8, 8).astype(np.int64), labels[chosen]
    spikes = columns_over_time(images)
    rest, test = _divided(spikes, labels, split, 0.25)
    train, validation = _divided(*rest, split, 0.2)
    return Data(train, validation, test)


def _divided(spikes: Any, labels: Any, split: int, part: float) -> tuple[Any, Any]:
    """Return spikes and labels of most samples, and those of a part of them."""
    found = train_test_split(
        spikes, labels, test_size=part, random_state=split, stratify=labels
    )  # spikes of both, then labels of both
    return (found[0], found[2]), (found[1], found[3])


def joined(kind: Kind, models: list[nn.Sequential]) -> nn.Sequential:
    """Return networks as one, which takes as long to train as two of them.

    They see the same samples in the same order; no gradient passes between them.
    """
    whole = kind.build(len(models))
    for name, weight in whole.named_parameters():
        parts = [model.get_parameter(name).data for model in models]
        shared = name == "fc1.weight"  # every network has the same input
        weight.data = torch.cat(parts) if shared else torch.block_diag(*parts)
        if not shared:
            mask = torch.block_diag(*map(torch.ones_like, parts))
            weight.register_hook(mask.mul)
    return whole


def part_of(whole: nn.Sequential, model: nn.Sequential, number: int) -> None:
    """Copy the weights of one of the joined networks."""
    for name, weight in model.named_parameters():
        rows, columns = weight.shape
        first = 0 if name == "fc1.weight" else number * columns
        found = whole.get_parameter(name).data
        weight.data = found[number * rows : (number + 1) * rows, first : first + columns].clone()


def train_floats(
    kind: Kind, models: list[nn.Sequential], data: Data, *, epochs: int = 25, ramp: bool = False
) -> None:
    """Train in torch with Adam and a one-cycle rate on the cross-entropy of spike counts."""
    whole = joined(kind, models)
    if ramp:
        with_ramp(whole)
    spikes, labels = (torch.as_tensor(each) for each in data.train)
    optimizer = torch.optim.Adam(whole.parameters(), lr=1e-2)
    total = epochs * -(-len(spikes) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=total)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for part in torch.randperm(len(spikes), generator=order).split(BATCH):
            reset_states(whole)
            optimizer.zero_grad()
            counts = whole(spikes[part].float()).sum(dim=1).reshape(len(part), len(models), CLASSES)
            targets = labels[part, None].expand(-1, len(models))
            loss = nn.functional.cross_entropy(counts.mT / 3, targets, reduction="sum")
            (loss / len(part)).backward()
            optimizer.step()
            schedule.step()
    for number, model in enumerate(models):
        part_of(whole, model, number)


def with_ramp(model: nn.Sequential) -> None:
    """Give every neuron layer the ramp."""
    for layer in model:
        if isinstance(layer, CubaLIF):
            layer.surrogate_grad_fn = Ramp(max_spikes=layer.spike_fn.max_num_spikes_per_bin)


def deployed(model: nn.Sequential, data: Data) -> Deployment:
    """Return the deployment by ``auto``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeployWarning)
        return deploy(
            model, "xylo_a2", sample=torch.as_tensor(data.train[0][:2]).float(), dt=DT,
            calibration=data.train[0][:CALIBRATION],
        )  # fmt: skip


def accuracy(spikes: Any, labels: Any) -> float:
    """Return the percentage of samples whose most active output is their label."""
    return 100 * float((np.asarray(spikes).sum(axis=1).argmax(axis=1) == labels).mean())


def float_accuracy(model: nn.Sequential, data: Data) -> float:
    """Return the test accuracy of the network in torch."""
    spikes, labels = data.test
    with torch.no_grad():
        reset_states(model)
        out = model(torch.as_tensor(spikes).float()).numpy()
        reset_states(model)
    return accuracy(out, labels)


def chip_accuracy(d: Deployment, data: Data) -> float:
    """Return the test accuracy on the chip."""
    spikes, labels = data.test
    return accuracy(d.simulate(spikes).spikes, labels)


def measure(kind: Kind, seed: int, split: int) -> dict[str, Any]:
    """Return the test accuracies of one network, in percent, and the seconds they took."""
    data, model, started = data_of(split), kind.build(seed), time.process_time()
    train_floats(model, data, epochs=25, seed=seed)
    trained = time.process_time()
    d = deployed(model, data)
    quantized = time.process_time()
    fitted = d.fit(data.train, data.labels, seed=seed)
    done = time.process_time()
    return {
        "kind": kind.name,
        "seed": seed,
        "split": split,
        "float": float_accuracy(model, data),
        "auto": accuracy(d.simulate(data.test).spikes, data.test_labels),
        "fit": accuracy(fitted.simulate(data.test).spikes, data.test_labels),
        "epoch": fitted.history.choice,
        "seconds": [trained - started, quantized - trained, done - quantized],
    }

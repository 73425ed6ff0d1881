"""Training on the chip's integers, on digits: accuracy before and after, with ranges.

    python benchmarks/training_digits.py [--record] [--seeds 0 1 2 3 4] [--splits 0 1 2] [kind ...]

Eight classes of scikit-learn's digits, 361 of them for testing, enter as columns over time. Float
networks whose time constants Xylo does not hold are trained in torch, deployed with ``auto``, and
trained on the chip by ``Deployment.fit`` with its defaults; 20 % of the training samples choose the
epoch. Every figure is the accuracy on the test samples, which nothing was chosen by. ``--record``
writes the table and its data into docs/training.md and the test data.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
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
from toolchain.nn import CubaLIF, Ramp, detach_states, reset_states  # noqa: E402

CLASSES, DT = 8, 1e-3
CALIBRATION = 256


@dataclass(frozen=True)
class Kind:
    """A network: time constants in s, and neurons of its two hidden layers."""

    name: str
    tau_mem: float
    tau_syn: float
    neurons: int
    recurrent: bool = False

    def build(self, seed: int) -> nn.Sequential:
        """Return the untrained network."""
        torch.manual_seed(seed)

        def lif(neurons: int, most: int, recurrent: bool = False) -> CubaLIF:
            layer = CubaLIF(
                neurons, tau_mem=self.tau_mem, tau_syn=self.tau_syn, dt=DT, has_rec=recurrent,
                max_spikes_per_dt=most, trained=(),
            )  # fmt: skip
            if recurrent:
                nn.init.normal_(layer.w_rec, std=0.5 / neurons**0.5 * DT / self.tau_syn)
            return layer

        sizes = (8, self.neurons, self.neurons, CLASSES)
        linears = [nn.Linear(a, b, bias=False) for a, b in zip(sizes, sizes[1:], strict=False)]
        for linear in linears:
            std = 1.5 / linear.in_features**0.5 * DT / self.tau_syn
            nn.init.normal_(linear.weight, std=std)
        hidden = (lif(self.neurons, 31, self.recurrent) for _ in range(2))
        neurons = (*hidden, lif(CLASSES, 1))
        layers = OrderedDict()
        for number, (linear, lifs) in enumerate(zip(linears, neurons, strict=True), 1):
            layers |= {f"fc{number}": linear, f"lif{number}": lifs}
        return nn.Sequential(layers)


KINDS = (
    Kind("10/5 ms, 2 x 48", 10e-3, 5e-3, 48),
    Kind("12/6 ms, 2 x 48", 12e-3, 6e-3, 48),
    Kind("10/5 ms, 2 x 30 recurrent", 10e-3, 5e-3, 30, recurrent=True),
    Kind("12/6 ms, 2 x 30 recurrent", 12e-3, 6e-3, 30, recurrent=True),
)


@dataclass(frozen=True)
class Data:
    """Spikes (n, time, 8) and labels (n,), for training and testing."""

    train: Any
    labels: Any
    test: Any
    test_labels: Any


def data_of(split: int) -> Data:
    """Return the digits 0 to 7, a quarter of them for testing."""
    images, labels = load_digits(return_X_y=True)
    chosen = labels < CLASSES
    images, labels = images[chosen].reshape(-1, 8, 8).astype(np.int64), labels[chosen]
    train, test, train_labels, test_labels = train_test_split(
        columns_over_time(images), labels, test_size=0.25, random_state=split, stratify=labels
    )
    return Data(train, train_labels, test, test_labels)


def train_floats(
    model: nn.Sequential, data: Data, *, epochs: int, seed: int, rate: float = 3e-3
) -> None:
    """Train in torch with Adam on the cross-entropy of spike counts."""
    spikes, labels = torch.as_tensor(data.train).float(), torch.as_tensor(data.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for part in torch.randperm(len(spikes), generator=order).split(64):
            reset_states(model)
            optimizer.zero_grad()
            counts = model(spikes[part]).sum(dim=1)
            nn.functional.cross_entropy(counts / 3, labels[part]).backward()
            optimizer.step()
    detach_states(model)
    reset_states(model)


def with_ramp(model: nn.Sequential) -> nn.Sequential:
    """Give every neuron layer the ramp, and return the network."""
    for layer in model:
        if isinstance(layer, CubaLIF):
            layer.surrogate_grad_fn = Ramp(max_spikes=layer.spike_fn.max_num_spikes_per_bin)
    return model


def deployed(model: nn.Sequential, data: Data) -> Deployment:
    """Return the deployment by ``auto``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeployWarning)
        return deploy(
            model, "xylo_a2", sample=torch.as_tensor(data.train[:2]).float(), dt=DT,
            calibration=data.train[:CALIBRATION],
        )  # fmt: skip


def accuracy(spikes: Any, labels: Any) -> float:
    """Return the percentage of samples whose most active output is their label."""
    return 100 * float((np.asarray(spikes).sum(axis=1).argmax(axis=1) == labels).mean())


def float_accuracy(model: nn.Sequential, data: Data) -> float:
    """Return the test accuracy of the network in torch."""
    with torch.no_grad():
        reset_states(model)
        out = model(torch.as_tensor(data.test).float()).numpy()
        reset_states(model)
    return accuracy(out, data.test_labels)


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

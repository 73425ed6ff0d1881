"""Six small networks trained for the comparison of quantizers, and the recipes they come from.

Two tasks that train in seconds: scikit-learn's digits, column after column
(``examples/digits.py``), and four spatio-temporal patterns hidden in noise. Three recipes are
SynNets, three are recurrent. Everything is seeded. A trained network is kept in a file named for
the hash of its recipe, of the layers and of the versions it was made with, so that it is trained
once.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import toolchain.nn
from examples import digits
from tests.oracles.xylo_compared import Case
from toolchain import extract
from toolchain.arrays import Array
from toolchain.nn import CubaLIF, LIFTorch, SynNet, detach_states, reset_states

CALIBRATION, HELD_OUT = 32, 96
"""Samples."""
BATCH = 32
TEMPERATURE = 3.0
"""Spikes by which one class leads another, for its odds to be e times as large."""
MODERATE = 0.1
"""Spikes a neuron and step beyond which a layer costs."""
DT = 1e-3


@dataclass(frozen=True, kw_only=True)
class Task:
    """Labelled spikes, and what makes a score of each class out of output spikes.

    Attributes:
        spikes, labels: to train with, (samples, time, channels) and (samples,).
        test, test_labels: never seen in training.
        score: output spikes (batch, time, outputs) -> (batch, classes).
        outputs: of the network.
    """

    spikes: Array
    labels: Array
    test: Array
    test_labels: Array
    score: Callable[[Tensor], Tensor]
    outputs: int


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network, what it learns, and for how long.

    Attributes:
        kind: for the table.
        build: the untrained network, for a number of inputs and outputs.
        task: what it learns.
        rate: learning rate.
    """

    kind: str
    build: Callable[[int, int], nn.Module]
    task: Callable[[], Task]
    epochs: int = 10
    rate: float = 1e-2


# ---- tasks ----


def digit_columns() -> Task:
    """Digits 0 to 9 as words of eight outputs."""
    data = digits.digits()
    return Task(
        spikes=digits.columns_over_time(data.train[:512]),
        labels=data.train_labels[:512],
        test=digits.columns_over_time(data.test[: CALIBRATION + HELD_OUT]),
        test_labels=data.test_labels[: CALIBRATION + HELD_OUT],
        score=digits.code_distances,
        outputs=8,
    )


def patterns(classes: int = 4, channels: int = 12, steps: int = 60) -> Task:
    """Each class is three spikes a channel at its own times, give or take two steps, in noise."""
    rng = np.random.default_rng(7)
    times = rng.integers(4, steps - 16, (classes, channels, 3))

    def draw(samples: int) -> tuple[Array, Array]:
        labels = rng.integers(0, classes, samples)
        spikes = (rng.random((samples, steps, channels)) < 0.01).astype(np.int64)
        moved = times[labels] + rng.integers(-2, 3, (samples, channels, 3))
        sample, channel = np.ogrid[:samples, :channels]
        for n in range(3):
            np.add.at(spikes, (sample, moved[..., n], channel), 1)
        spikes[:, -12:] = 0
        return spikes, labels

    (spikes, labels), (test, test_labels) = draw(512), draw(CALIBRATION + HELD_OUT)
    return Task(
        spikes=spikes,
        labels=labels,
        test=test,
        test_labels=test_labels,
        score=lambda spikes: spikes.sum(dim=1),
        outputs=classes,
    )


# ---- networks ----


class Spikes(nn.Module):
    """A network whose forward gives (spikes, state, record), as one that gives the spikes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, data: Tensor) -> Tensor:
        """Output spikes (batch, time, outputs)."""
        spikes: Tensor = self.net(data)[0]
        return spikes


def synnet(inputs: int, outputs: int, **options: Any) -> nn.Module:
    """A SynNet; rockpool's defaults where nothing else is said."""
    return Spikes(SynNet(n_classes=outputs, n_channels=inputs, dt=DT, **options))


def recurrent(inputs: int, outputs: int, *sizes: int, synapses: int = 1, **lif: Any) -> nn.Module:
    """Hidden layers that feed themselves, and a readout with one of their time constants."""
    layers: list[nn.Module] = []
    width = inputs
    for n in sizes:
        layers.append(_small(nn.Linear(width, n * synapses, bias=False)))
        shape = (n * synapses, n)
        layers.append(CubaLIF(shape, has_rec=True, max_spikes_per_dt=31, dt=DT, **lif))
        layers[-1].w_rec.data *= 0.2
        width = n
    tau = {name: lif[name] if isinstance(lif[name], float) else 5e-3 for name in TAUS}
    layers += [_small(nn.Linear(width, outputs, bias=False))]
    layers += [CubaLIF(outputs, max_spikes_per_dt=1, dt=DT, trained=(), **tau)]
    return nn.Sequential(*layers)


TAUS = ("tau_mem", "tau_syn")


def _small(linear: nn.Linear) -> nn.Linear:
    nn.init.normal_(linear.weight, std=0.4 / linear.in_features**0.5)
    return linear


def held(dash: int) -> float:
    """The time constant that a bit shift of ``dash`` keeps, s."""
    return float(-DT / np.log(1 - 2.0**-dash))


FIXTURES = {
    "SynNet, digits": Recipe(
        kind="trained SynNet",
        build=partial(synnet, size_hidden_layers=[24, 24], time_constants_per_layer=[2, 4]),
        task=digit_columns,
        epochs=20,
        rate=2e-2,
    ),
    "SynNet, trained time constants": Recipe(
        kind="trained SynNet",
        build=partial(
            synnet,
            size_hidden_layers=[20, 20],
            time_constants_per_layer=[3, 3],
            tau_mem=6e-3,
            quantize_time_constants=False,
            train_time_constants=True,
        ),
        task=patterns,
    ),
    "recurrent, patterns": Recipe(
        kind="trained recurrent",
        build=lambda i, o: recurrent(i, o, 40, tau_mem=10e-3, tau_syn=5e-3, trained=()),
        task=patterns,
    ),
}
"""Trained by the tests as well."""

RECIPES = {
    **FIXTURES,
    "SynNet, three layers": Recipe(
        kind="trained SynNet",
        build=partial(synnet, size_hidden_layers=[24] * 3, time_constants_per_layer=[2, 4, 8]),
        task=patterns,
    ),
    "recurrent, trained biases": Recipe(
        kind="trained recurrent",
        build=lambda i, o: recurrent(
            i, o, 30, 30, tau_mem=held(3), tau_syn=held(2), trained=("bias",)
        ),
        task=digit_columns,
    ),
    "recurrent, two synapses": Recipe(
        kind="trained recurrent",
        build=lambda i, o: recurrent(
            i,
            o,
            30,
            synapses=2,
            tau_mem=8e-3,
            tau_syn=torch.tensor([[3e-3, 12e-3]]),
            trained=(),
        ),
        task=digit_columns,
    ),
}


# ---- training, once ----


def trained_case(name: str, folder: Path) -> tuple[Case, float]:
    """The network of recipe ``name`` as a Case, and its accuracy in floats on all test spikes, %.

    Trained now, unless ``folder`` holds it.
    """
    recipe = RECIPES[name]
    task = recipe.task()
    torch.manual_seed(0)
    model = recipe.build(task.spikes.shape[2], task.outputs)
    file = folder / f"{_key(name)}.safetensors"
    if file.is_file():
        model.load_state_dict(load_file(file))
    else:
        _train(model, recipe, task)
        _write(model, file)
    reset_states(model)
    inputs = torch.as_tensor(task.test).float()
    with torch.no_grad():
        right = digits.accuracy(task.score(model(inputs)), task.test_labels)
    reset_states(model)
    case = Case(
        name=name,
        kind=recipe.kind,
        graph=extract(model, inputs[:2]),
        calibration=task.test[:CALIBRATION],
        held_out=task.test[CALIBRATION:],
    )
    return case, right


def _train(model: nn.Module, recipe: Recipe, task: Task) -> None:
    """Adam on cross-entropy; time constants at a rate of their own, within 1.6 to 40 steps."""
    inputs, targets = torch.as_tensor(task.spikes).float(), torch.as_tensor(task.labels)
    taus = [p for name, p in model.named_parameters() if "tau" in name]
    rest = [p for name, p in model.named_parameters() if "tau" not in name]
    groups = [{"params": rest}, {"params": taus, "lr": recipe.rate * DT * 5}]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]], lr=recipe.rate)
    order = torch.Generator().manual_seed(0)
    made = _spikes_of(model)
    for _ in range(recipe.epochs):
        for part in torch.randperm(len(inputs), generator=order).split(BATCH):
            reset_states(model)
            optimizer.zero_grad()
            made.clear()
            scores = task.score(model(inputs[part])) / TEMPERATURE
            loss = nn.functional.cross_entropy(scores, targets[part])
            busy = sum(nn.functional.relu(spikes.mean() - MODERATE) for spikes in made)
            (loss + 20 * busy).backward()
            nn.utils.clip_grad_norm_(rest, 1.0)
            optimizer.step()
            for tau in taus:
                tau.data.clamp_(1.6 * DT, 40 * DT)
    detach_states(model)


def _spikes_of(model: nn.Module) -> list[Tensor]:
    """A list to which every spiking layer adds its spikes (batch, time, N) in each forward."""
    made: list[Tensor] = []

    def keep(_: nn.Module, __: Any, out: Any) -> None:
        made.append(out[0] if isinstance(out, tuple) else out)

    for layer in model.modules():
        if isinstance(layer, (CubaLIF, LIFTorch)):
            layer.register_forward_hook(keep)
    return made


def _key(name: str) -> str:
    """Hash of all that decides what comes out of training."""
    sources = [Path(__file__), Path(digits.__file__)]
    sources += sorted(Path(toolchain.nn.__file__).parent.glob("*.py"))
    digest = hashlib.sha256(name.encode())
    for source in sources:
        digest.update(source.read_bytes())
    for version in (torch.__version__, np.__version__, sys.version, platform.machine()):
        digest.update(version.encode())
    return digest.hexdigest()[:24]


def _write(model: nn.Module, file: Path) -> None:
    """All at once: another process may be looking for the same file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    waiting = file.with_suffix(f".{os.getpid()}")
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, waiting)
    waiting.replace(file)

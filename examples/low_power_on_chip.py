"""A network trained on the chip's own integers for less power, the dynamic power in the loss.

    python examples/low_power_on_chip.py [--chip speck2f] [--out out/low_power_on_chip]

A classifier of handwritten digits is trained in torch for accuracy alone and deployed. For each
share of its dynamic power the deployment is trained on, through the simulation of the chip, with
the power of the estimate as a term of the loss. A table has accuracy and power of each on other
digits, and a picture the curve. `--chip xylo_a2` trains a recurrent network of leaky neurons for
the digits 0 to 7. Some minutes on two cores; no internet connection is used.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import torch
from digits import (
    Ints,
    accuracy,
    class_counts,
    columns_over_time,
    convolutional_network,
    digits,
    rate_coded,
    train,
)
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from toolchain import Deployment, deploy
from toolchain.nn import CubaLIF
from toolchain.synops import firing_rate_loss, firing_rate_per_neuron_hook
from toolchain.training import ChipModule, ChipPower

mpl.use("Agg")
DT = 1e-3
SHARES = (1.0, 0.75, 0.5)
WEIGHT = 100.0  # of the power in the loss
RATE = 0.004  # of weights, as a part of the largest on the chip
HIDDEN = 31  # neurons of a layer on Xylo, where a neuron has at most 64 recurrent connections
ACTIVE = 0.15  # spikes a step of each hidden neuron on Xylo, at least, in the training in torch
OUTPUTS = 8  # of Xylo Audio 2


@dataclass(frozen=True)
class Task:
    """Spikes and labels, and how a network's output spikes are read."""

    spikes: Ints
    labels: Ints
    test: Ints
    test_labels: Ints
    score: Callable[[torch.Tensor], torch.Tensor]
    temperature: float


@dataclass(frozen=True)
class Row:
    """Accuracy, %, and dynamic power, µW, on the test digits; share is None at the start."""

    share: float | None
    accuracy: float
    power: float


def main() -> None:
    """Train, deploy, train on for each share of the power, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--chip", default="speck2f", choices=("speck2f", "xylo_a2"))
    parser.add_argument("--out", type=Path, default=Path("out/low_power_on_chip"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--float-epochs", type=int, default=14, help="epochs in torch")
    parser.add_argument("--epochs", type=int, default=8, help="epochs on the chip, for each share")
    parser.add_argument("--samples", type=int, help="digits to train on; fewer for a quick run")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    task, d = deployed(arguments.chip, arguments.float_epochs, arguments.samples)
    rows = [row_of(d, task, None)]
    for share in arguments.shares:
        trained = trained_for(d, task, share, arguments.epochs, arguments.seed)
        rows.append(row_of(trained, task, share))
    console = Console()
    console.print(table(rows, d))
    path = draw({d.chip.title: rows}, arguments.out / "low_power_on_chip.png")
    console.print(f"picture: {path}")


def deployed(chip: str, epochs: int, samples: int | None = None) -> tuple[Task, Deployment]:
    """Train a network for the chip in torch for accuracy alone, and deploy it."""
    speck = chip.startswith("speck")
    task = images(samples) if speck else columns(samples)
    model = convolutional_network() if speck else recurrent_network()
    # a sparse network on Xylo costs little more than the work of every step, which spikes less do
    # not reduce: this one spikes often at the start
    hidden = [] if speck else [model.lif1, model.lif2]
    hooks = [layer.register_forward_hook(firing_rate_per_neuron_hook) for layer in hidden]
    train(
        model, task.spikes, task.labels, task.score, epochs=epochs,
        rate=0.005 if speck else 0.01, temperature=task.temperature,
        description="training in torch", show=False, penalty=active if hidden else None,
    )  # fmt: skip
    for hook in hooks:
        hook.remove()
    sample = torch.as_tensor(task.spikes[:4]).float()
    return task, deploy(model, chip, sample=sample, dt=DT, calibration=task.spikes[:128])


def active(model: nn.Module) -> torch.Tensor:
    """Return the term of the loss for hidden neurons that spike too rarely."""
    return firing_rate_loss(model, ACTIVE)


def trained_for(d: Deployment, task: Task, share: float, epochs: int, seed: int) -> Deployment:
    """Train on the chip's integers; below a share of 1 the dynamic power is held at that share."""
    module = d.as_module()
    power = ChipPower(module, task.spikes)
    target = share * power.start
    spikes, labels = torch.as_tensor(task.spikes), torch.as_tensor(task.labels)
    optimizer = torch.optim.Adam(groups(module), betas=(0.9, 0.99))
    rates = [group["lr"] for group in optimizer.param_groups]
    steps = epochs * -(-len(spikes) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, steps, pct_start=0.1)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for part in torch.randperm(len(spikes), generator=order).split(64):
            optimizer.zero_grad()
            run = module.run(spikes[part], layers=power.layers)
            loss = F.cross_entropy(task.score(run.spikes) / task.temperature, labels[part])
            if share < 1:
                loss = loss + WEIGHT * power.power_loss(run, target)
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            module.project()
            schedule.step()
    trained: Deployment = module.deployment()
    return trained


def groups(module: ChipModule) -> list[dict[str, object]]:
    """Return the parameters with learning rates in units of the chip's integers."""
    found: list[dict[str, object]] = []
    for name, latent in module.latents().items():
        size = float(abs(latent.start).mean())
        most = latent.parameter.high if latent.parameter.kind == "weight" else max(1.0, size)
        found.append({"params": [module.get_parameter(name)], "lr": RATE * most})
    return found


def images(samples: int | None) -> Task:
    """Return all digits as images with a rate per pixel."""
    data, part = digits(), slice(samples)
    spikes, test = rate_coded(data.train[part]), rate_coded(data.test)
    return Task(spikes, data.train_labels[part], test, data.test_labels, class_counts, 4.0)


def columns(samples: int | None) -> Task:
    """Return the digits 0 to 7, one column after the other."""
    data = digits()
    few, few_test = data.train_labels < OUTPUTS, data.test_labels < OUTPUTS
    spikes, labels = columns_over_time(data.train[few])[:samples], data.train_labels[few][:samples]
    test = columns_over_time(data.test[few_test])
    return Task(spikes, labels, test, data.test_labels[few_test], spike_counts, 3.0)


def spike_counts(spikes: torch.Tensor) -> torch.Tensor:
    """Sum spikes (batch, time, outputs) over time."""
    return torch.as_tensor(spikes).sum(dim=1).float()


def recurrent_network() -> nn.Sequential:
    """Build 8 -> 31 -> 31 -> 8 leaky neurons, recurrent in the hidden layers."""

    def neurons(number: int, most: int, recurrent: bool) -> CubaLIF:
        return CubaLIF(
            number, tau_mem=12e-3, tau_syn=6e-3, dt=DT, has_rec=recurrent,
            max_spikes_per_dt=most, trained=(),
        )  # fmt: skip

    net = nn.Sequential(
        OrderedDict(
            fc1=nn.Linear(8, HIDDEN, bias=False),
            lif1=neurons(HIDDEN, 31, True),
            fc2=nn.Linear(HIDDEN, HIDDEN, bias=False),
            lif2=neurons(HIDDEN, 31, True),
            fc3=nn.Linear(HIDDEN, OUTPUTS, bias=False),
            lif3=neurons(OUTPUTS, 1, False),
        )
    )
    for name, weight in net.named_parameters():
        size = 0.5 if name.endswith("w_rec") else 1.5
        nn.init.normal_(weight, std=size / weight.shape[1] ** 0.5 * DT / 6e-3)
    return net


def row_of(d: Deployment, task: Task, share: float | None) -> Row:
    """Return accuracy and dynamic power of a deployment on the test digits."""
    power = d.estimate(task.test).dynamic_power.nominal
    assert power is not None
    found = accuracy(task.score(torch.as_tensor(d.simulate(task.test).spikes)), task.test_labels)
    return Row(share, found, power)


def table(rows: list[Row], d: Deployment) -> Table:
    """Return a table with a row per training."""
    result = Table(title=f"handwritten digits on {d.chip.title}", title_justify="left", box=None)
    for name in ("trained for", "dynamic power", "of the start", "accuracy"):
        result.add_column(name, justify="right")
    for row in rows:
        what = "accuracy, in torch" if row.share is None else f"{100 * row.share:.0f} % power"
        what = "accuracy, on the chip" if row.share == 1 else what
        share = f"{100 * row.power / rows[0].power:.1f} %"
        result.add_row(what, f"{row.power:.1f} µW", share, f"{row.accuracy:.2f} %")
    return result


def draw(studies: dict[str, list[Row]], path: Path) -> Path:
    """Draw accuracy against dynamic power for each chip."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for title, (start, *rows) in studies.items():
        shares = [100 * row.power / start.power for row in rows]
        (line,) = axes.plot(shares, [row.accuracy for row in rows], "o-", label=title)
        axes.plot(100, start.accuracy, "s", color=line.get_color(), fillstyle="none")
    axes.set_xlabel("dynamic power of the chip, % of the start")
    axes.set_ylabel("accuracy on the chip, %")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


if __name__ == "__main__":
    main()

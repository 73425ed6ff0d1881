"""Training on the chip's integers, on digits: accuracy before and after, with ranges.

    python benchmarks/training_digits.py [--record] [--seeds 0 1 2 3 4] [--splits 0 1 2] [kind ...]

Eight classes of scikit-learn's digits, 361 of them for testing, enter as columns over time. Float
networks whose time constants Xylo does not hold are trained in torch, deployed with ``auto``, and
trained on the chip by ``Deployment.fit`` with its defaults; 20 % of the training samples choose the
epoch. Every figure is the accuracy on the test samples, which nothing was chosen by. ``--record``
writes the figures beside this file and into docs/training.md. With ``--cache`` the networks that
were trained in torch are kept and read. About 20 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterator
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
WEAK, FAILED = 85, 90
"""Accuracy in percent below which ``auto`` is weak, and below which a training has failed."""
RECORD = ROOT / "benchmarks" / "training_digits.json"
PAGE = ROOT / "docs" / "training.md"
FIRST, LAST = "<!-- digits: written by benchmarks/training_digits.py -->", "<!-- end of digits -->"


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


def floats(kind: Kind, seeds: list[int], data: Data, folder: Path | None) -> list[nn.Sequential]:
    """Return trained networks, from ``folder`` if they are there."""
    models = [kind.start(seed) for seed in seeds]
    if folder is None:
        train_floats(kind, models, data)
        return models
    paths = [folder / f"{seed}.pt" for seed in seeds]
    if all(path.exists() for path in paths):
        for path, model in zip(paths, models, strict=True):
            model.load_state_dict(torch.load(path, weights_only=True))
        return models
    train_floats(kind, models, data)
    folder.mkdir(parents=True, exist_ok=True)
    for path, model in zip(paths, models, strict=True):
        torch.save(model.state_dict(), path)
    return models


def measure(
    kind: Kind, split: int, seeds: list[int], cache: Path | None
) -> Iterator[dict[str, Any]]:
    """Yield the test accuracies of each network in percent, and the seconds on the chip."""
    data = data_of(split)
    folder = None if cache is None else cache / f"{KINDS.index(kind)}-{split}"
    for seed, model in zip(seeds, floats(kind, seeds, data, folder), strict=True):
        d = deployed(model, data)
        started = time.process_time()
        trained = d.fit(*data.train, validation=data.validation, seed=seed, progress=False)
        assert trained.history is not None
        yield {
            "kind": kind.name,
            "split": split,
            "seed": seed,
            "float": round(float_accuracy(model, data), 2),
            "auto": round(chip_accuracy(d, data), 2),
            "trained": round(chip_accuracy(trained, data), 2),
            "epoch": trained.history.choice,
            "seconds": round(time.process_time() - started, 1),
        }


def recipe(
    kind: Kind, split: int, seeds: list[int], cache: Path | None
) -> Iterator[dict[str, Any]]:
    """Yield the accuracies of the recipe: default, then ramp; and of the ramp from scratch."""
    data = data_of(split)
    folder = None if cache is None else cache / f"{KINDS.index(kind)}-{split}"
    models = floats(kind, seeds, data, folder)
    first = [float_accuracy(model, data) for model in models]
    train_floats(kind, models, data, epochs=12, ramp=True)
    scratch = [kind.start(seed) for seed in seeds]
    train_floats(kind, scratch, data, epochs=37, ramp=True)
    for seed, one, model, other in zip(seeds, first, models, scratch, strict=True):
        yield {
            "kind": kind.name,
            "split": split,
            "seed": seed,
            "default": round(one, 2),
            "default, then ramp": round(float_accuracy(model, data), 2),
            "ramp from scratch": round(float_accuracy(other, data), 2),
        }


def table(rows: list[dict[str, Any]], columns: tuple[str, ...], gain: tuple[str, str]) -> str:
    """Return the medians and ranges of each kind as a Markdown table."""
    lines = [
        f"| network | runs | {' | '.join(columns)} | gain |",
        f"|---|--:|{'--:|' * len(columns)}--:|",
    ]
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind.name]
        if not own:
            continue
        cells = [spread([row[name] for row in own]) for name in columns]
        gains = [row[gain[1]] - row[gain[0]] for row in own]
        lines.append(f"| {kind.name} | {len(own)} | {' | '.join(cells)} | {spread(gains)} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Return the median and range of values."""
    return f"{np.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def section(record: dict[str, Any]) -> str:
    """Return the section of the documentation."""
    rows = record["trained"]
    gains = [row["trained"] - row["auto"] for row in rows]
    weak = [row["trained"] - row["auto"] for row in rows if row["auto"] < WEAK]
    text = [
        table(rows, ("float", "auto", "trained"), ("auto", "trained")),
        "",
        f"Over all {len(rows)} networks the median gain is {np.median(gains):.1f} points; "
        f"{sum(gain < 0 for gain in gains)} lose, at most {-min(0.0, *gains):.1f} points.",
    ]
    if weak:
        text.append(
            f"The {len(weak)} networks whose `auto` is below {WEAK} % gain {min(weak):.1f} to "
            f"{max(weak):.1f} points."
        )
    if record["recipe"]:
        names = ("default", "default, then ramp", "ramp from scratch")
        failures = sum(row[names[2]] < FAILED for row in record["recipe"])
        text += [
            "",
            table(record["recipe"], names, names[:2]),
            "",
            f"From scratch the ramp leaves {failures} of {len(record['recipe'])} networks below "
            f"{FAILED} %.",
        ]
    return "\n".join(text)


def main() -> None:
    """Measure and print; ``--record`` writes the figures and the section of the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, help="folder of the float networks")
    parser.add_argument("kind", nargs="*", help="part of a name; all networks unless given")
    arguments = parser.parse_args()
    kinds = [k for k in KINDS if any(part in k.name for part in arguments.kind or [""])]
    torch.set_num_threads(1)
    record: dict[str, Any] = {"trained": [], "recipe": []}
    for split in arguments.splits:
        for kind in kinds:
            for row in measure(kind, split, arguments.seeds, arguments.cache):
                print(row, flush=True)
                record["trained"].append(row)
    for kind in kinds:
        for row in recipe(kind, arguments.splits[0], arguments.seeds, arguments.cache):
            print(row, flush=True)
            record["recipe"].append(row)
    print(section(record))
    if arguments.record:
        write(record)


def write(record: dict[str, Any]) -> None:
    """Write the figures, and the section of the documentation."""
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
    _, _, after = rest.partition(LAST)
    PAGE.write_text(f"{before}{FIRST}\n{section(record)}\n{LAST}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

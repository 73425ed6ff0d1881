"""One network trained for accuracy alone and for few synaptic operations, compared on the chip.

    python examples/low_power.py [--out out/low_power] [--epochs 14]

Both classify handwritten digits on a Speck 2f. The bit-exact simulation counts the synaptic
operations and the estimator computes their energy; a table compares the two networks.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import torch
from digits import (
    Digits,
    accuracy,
    class_counts,
    convolutional_network,
    digits,
    rate_coded,
    train,
)
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import nn

from toolchain import deploy
from toolchain.estimate import Estimate
from toolchain.nn import reset_states
from toolchain.synops import register_synops_hooks, total_synops_loss

mpl.use("Agg")

SHARE = 0.25  # target, relative to the synops of the network trained for accuracy alone
DT = 1e-3


@dataclass(frozen=True)
class Result:
    """Test accuracies in percent and the estimate of one trained network on the chip."""

    name: str
    trained: float
    chip: float
    estimate: Estimate


def main() -> None:
    """Train and deploy both networks and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/low_power"))
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument(
        "--calibration", type=int, default=256, help="number of digits for calibration"
    )
    arguments = parser.parse_args()

    data, console = digits(), Console()
    amounts = arguments.epochs, arguments.calibration
    plain = result("accuracy alone", data, amounts, None, console)
    target = SHARE * plain.estimate.activity.synops_per_step
    sparse = result("few synops", data, amounts, target, console)
    console.print(comparison_table([plain, sparse]))
    console.print(f"picture: {draw([plain, sparse], arguments.out / 'low_power.png')}")


def result(
    name: str, data: Digits, amounts: tuple[int, int], target: float | None, console: Console
) -> Result:
    """Train from the same initial weights, with at most ``target`` synops per timestep if given.

    ``amounts`` are the number of epochs and of digits for calibration.
    """
    epochs, calibration = amounts
    torch.manual_seed(0)
    model = convolutional_network()
    spikes, test = rate_coded(data.train), rate_coded(data.test)
    hooks = register_synops_hooks(model)

    def penalty(model: nn.Module) -> torch.Tensor:
        assert target is not None
        return 10.0 * total_synops_loss(model, target) / target**2

    train(
        model,
        spikes,
        data.train_labels,
        class_counts,
        epochs=epochs,
        rate=0.005,
        temperature=4.0,
        description=f"training for {name}",
        show=console.is_terminal,
        penalty=None if target is None else penalty,
    )
    hooks.remove()
    sample = torch.as_tensor(spikes[:4]).float()
    d = deploy(model, chip="speck2f", sample=sample, dt=DT, calibration=spikes[:calibration])
    with torch.no_grad():
        reset_states(model)
        trained = accuracy(class_counts(model(torch.as_tensor(test).float())), data.test_labels)
    chip = accuracy(class_counts(d.simulate(test).spikes), data.test_labels)
    return Result(name=name, trained=trained, chip=chip, estimate=d.estimate(test))


def comparison_table(results: list[Result]) -> Table:
    """Return a table with a column per network."""
    table = Table(title="handwritten digits on Speck 2f", title_justify="left", box=None)
    table.add_column("trained for")
    for one in results:
        table.add_column(one.name, justify="right")
    rows = {
        "test accuracy, trained": [f"{r.trained:.2f} %" for r in results],
        "test accuracy, on the chip": [f"{r.chip:.2f} %" for r in results],
        "synops per step": [f"{r.estimate.activity.synops_per_step:,.0f}" for r in results],
        "synops per digit": [f"{r.estimate.synops_per_inference:,.0f}" for r in results],
        "power, idle": [str(r.estimate.idle_power) for r in results],
        "power, dynamic": [str(r.estimate.dynamic_power) for r in results],
        "dynamic energy per digit": [str(r.estimate.dynamic_energy_per_inference) for r in results],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def draw(results: list[Result], path: Path) -> Path:
    """Draw the synops of each layer of both networks."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    layers = [layer.name for layer in results[0].estimate.activity.layers[1:]]
    width = 0.8 / len(results)
    for place, one in enumerate(results):
        synops = [layer.synops_per_step for layer in one.estimate.activity.layers[1:]]
        axes.bar(
            [index + place * width for index in range(len(layers))],
            synops,
            width,
            label=f"{one.name}: {one.chip:.1f} % on the chip",
        )
    axes.set_xticks([index + width / 2 for index in range(len(layers))], layers)
    axes.set_ylabel("synops per step")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    main()

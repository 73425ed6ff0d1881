"""Two networks trained on handwritten digits and deployed to two chips.

    python examples/demo.py [--out out/demo] [--epochs 25]

Prints for each network its placement, the accuracy before and after quantization, and the power
estimate; saves the artifact and a picture. About two minutes on two cores; no internet connection
is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from digits import (
    Digits,
    Ints,
    accuracy,
    class_counts,
    code_distances,
    columns_over_time,
    convolutional_network,
    digits,
    rate_coded,
    synnet,
    train,
)
from rich.console import Console
from rich.table import Table

from toolchain import Deployment, deploy
from toolchain.nn import reset_states
from toolchain.plots import plot_raster, plot_resources
from toolchain.report import render

mpl.use("Agg")
DT = 1e-3


@dataclass(frozen=True)
class Case:
    """One network, its input encoding, its training and its chip."""

    name: str
    chip: str
    network: Callable[[], torch.nn.Module]
    encode: Callable[[Ints], Ints]
    score: Callable[..., torch.Tensor]
    epochs: int
    rate: float


CASES = (
    Case("digits_speck", "speck2f", convolutional_network, rate_coded, class_counts, 14, 0.005),
    Case("digits_xylo", "xylo_a2", synnet, columns_over_time, code_distances, 30, 0.01),
)


def main() -> None:
    """Run both cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument(
        "--epochs", type=int, help="epochs for both networks; fewer for a quick run"
    )
    parser.add_argument(
        "--calibration", type=int, default=256, help="number of digits for calibration"
    )
    arguments = parser.parse_args()
    data, console = digits(), Console()
    for case in CASES:
        epochs = arguments.epochs or case.epochs
        run(case, data, arguments.out, console, epochs, arguments.calibration)


def run(
    case: Case, data: Digits, out: Path, console: Console, epochs: int, calibration: int
) -> dict[str, float]:
    """Train, deploy, report and save one case; return its accuracies in percent."""
    console.rule(f"{case.name}: {case.chip}")
    train_spikes, test_spikes = case.encode(data.train), case.encode(data.test)
    model = train_case(case, data, train_spikes, epochs, console)
    sample = torch.as_tensor(train_spikes[:4]).float()
    d = deploy(model, chip=case.chip, sample=sample, dt=DT, calibration=train_spikes[:calibration])
    print(render(d.sheet(), console.width))
    results = accuracies(case, model, d, test_spikes, data.test_labels)
    console.print(accuracy_table(results, len(test_spikes)))
    print(render(d.estimate(test_spikes).sheet(), console.width))
    folder = d.save(out / case.name)
    picture = draw(d, test_spikes[:1], out / f"{case.name}.png")
    console.print(f"artifact: {relative(folder)}\npicture:  {relative(picture)}\n")
    return results


def train_case(
    case: Case, data: Digits, spikes: Ints, epochs: int, console: Console
) -> torch.nn.Module:
    """Train the network of a case and reset its states."""
    torch.manual_seed(0)
    model = case.network()
    train(
        model,
        spikes,
        data.train_labels,
        case.score,
        epochs=epochs,
        rate=case.rate,
        temperature=4.0,
        description=f"training {case.name}",
        show=console.is_terminal,
    )
    return model


def accuracies(
    case: Case, model: torch.nn.Module, d: Deployment, spikes: Ints, labels: Ints
) -> dict[str, float]:
    """Return the test accuracies in percent of the trained network, quantized graph and chip."""
    with torch.no_grad():
        reset_states(model)
        float_scores = case.score(model(torch.as_tensor(spikes).float()))
        reset_states(model)
    run = d.simulate(spikes, record=True)
    return {
        "trained network (float32)": accuracy(float_scores, labels),
        "quantized graph (float64)": accuracy(
            case.score(d.reference_quantized(spikes).spikes), labels
        ),
        f"{d.chip.name}, bit-exact": accuracy(case.score(run.spikes), labels),
        "saturated states": float(sum(run.saturations.values())),
    }


def accuracy_table(results: dict[str, float], samples: int) -> Table:
    """Return a table of the accuracy of each version of the network."""
    rows = Table(title=f"test accuracy, {samples} digits", title_justify="left", box=None)
    rows.add_column("network")
    rows.add_column("accuracy", justify="right")
    for name, value in results.items():
        is_count = name == "saturated states"
        rows.add_row(name, f"{value:.0f}" if is_count else f"{value:.2f} %")
    return rows


def draw(d: Deployment, spikes: Ints, path: Path) -> Path:
    """Draw the spikes of one digit on the chip and the resources that the network uses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_raster(left, d.simulate(np.asarray(spikes), record=True))
    left.set_title(f"one digit on {d.chip.title}")
    plot_resources(right, d.resources())
    right.set_title("resources")
    figure.savefig(path, dpi=130)
    return path


def relative(path: Path) -> str:
    """Return the path relative to the current folder if it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and here in path.parents else path)


if __name__ == "__main__":
    main()

"""Three networks on every chip: whether it fits, its agreement, power and latency.

    python examples/compare_chips.py [--only digits_speck digits_xylo] [--out out/compare_chips]

The demo's two networks, trained here on scikit-learn's digits, and the NIR paper's Braille network,
if its file is given (``--braille braille_noDelay_noBias_subtract.nir``, from paper/03_rnn of
github.com/neuromorphs/NIR) or is in the folder SNN_TEST_DATA. Agreement, power and latency are
measured on held-out spikes: the digits' test split, random touches of another seed. Takes a few
minutes on one core; no internet connection is used.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from braille import DT as BRAILLE_DT
from braille import RATES, touches
from demo import CASES, DT, Case, relative, train_case
from digits import digits
from rich.console import Console

from toolchain import compare_chips
from toolchain.across_chips import ChipComparison
from toolchain.plots import plot_chips

mpl.use("Agg")

BRAILLE = "braille"
FILE = "braille_noDelay_noBias_subtract.nir"
DATA = Path(__file__).parents[2] / "shared" / "data"
CALIBRATION = 64  # digits for calibration
CLOCK = 25e6  # Hz; at the default 6.25 MHz no Xylo keeps up with timesteps of 0.1 ms
ALLOW = ("gt->ge", "spike_cap->chip_cap")  # approximations that the Braille network needs on Xylo


def main() -> None:
    """Print a table and draw a picture for each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [*(case.name for case in CASES), BRAILLE]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--braille", type=Path, help="the network's file")
    parser.add_argument("--out", type=Path, default=Path("out/compare_chips"))
    parser.add_argument("--epochs", type=int, help="of training; fewer for a quick look")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation, so that training is reproducible
    for case in CASES:
        if case.name in arguments.only:
            report(case.name, over_digits(case, arguments.epochs or case.epochs), arguments.out)
    if BRAILLE in arguments.only:
        path = arguments.braille or default_file()
        if path is None:
            print(f"{BRAILLE}: no {FILE}; give it with --braille")
        else:
            report(BRAILLE, over_braille(path), arguments.out)


def over_digits(case: Case, epochs: int) -> ChipComparison:
    """Train one of the demo's networks and compare it on every chip."""
    data = digits()
    spikes = case.encode(data.train)
    model = train_case(case, data, spikes, epochs, Console(stderr=True))
    return compare_chips(
        model,
        sample=torch.as_tensor(spikes[:4]).float(),
        dt=DT,
        calibration=spikes[:CALIBRATION],
        spikes=case.encode(data.test),
    )


def over_braille(path: Path) -> ChipComparison:
    """Compare the Braille network on every chip, with the firing rules of the chip allowed."""
    from toolchain import load

    def at_all_rates(seed: int) -> np.ndarray:
        return np.concatenate([touches(rate, seed) for rate in RATES])

    return compare_chips(
        load(path, dt=BRAILLE_DT, dialect="snntorch", reset="subtract"),
        calibration=at_all_rates(0),
        spikes=at_all_rates(1),
        allow=ALLOW,
        clock_hz=CLOCK,
    )


def default_file() -> Path | None:
    """Return the Braille network's file in the folder of test data, or None."""
    path = Path(os.environ.get("SNN_TEST_DATA", DATA)) / FILE
    return path if path.is_file() else None


def report(name: str, comparison: ChipComparison, out: Path) -> None:
    """Print the table and save the picture in ``out``."""
    print(f"{name}: {comparison}\n")
    picture = draw(comparison, out / f"{name}.png")
    print(f"picture: {relative(picture)}\n")


def draw(comparison: ChipComparison, path: Path) -> Path:
    """Draw the energy per inference on each chip."""
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    plot_chips(figure.subplots(), comparison)
    figure.savefig(path, dpi=130)
    return path


if __name__ == "__main__":
    main()

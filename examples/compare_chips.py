"""Three networks over every chip: which of them takes it, and what it would draw there.

    python examples/compare_chips.py [--only digits_speck digits_xylo] [--out out/compare_chips]

The demo's two networks, trained on the spot on real digits, and the NIR paper's Braille network,
where its file is given (``--braille braille_noDelay_noBias_subtract.nir``, of paper/03_rnn of
github.com/neuromorphs/NIR) or found in the folder that SNN_TEST_DATA names. Agreement, power and
latency are of spikes that no quantizer has heard: the digits' test split, other random touches.
Less than a minute on one core; no network connection is used.
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
from demo import CASES, DT, Case, shown, trained
from digits import digits
from rich.console import Console

from toolchain import compare_chips
from toolchain.across_chips import ChipComparison
from toolchain.plots import plot_chips

mpl.use("Agg")

BRAILLE = "braille"
FILE = "braille_noDelay_noBias_subtract.nir"
BESIDE = Path(__file__).parents[2] / "shared" / "data"
HEARD = 64  # digits that the quantizers listen to
CLOCK = 25e6  # Hz: at its usual 6.25 MHz no Xylo keeps up with steps of 0.1 ms
ALLOW = ("gt->ge", "spike_cap->chip_cap")  # what the Braille network cannot do without on Xylo


def main() -> None:
    """Parse the command line, print a table for each network and draw it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [*(case.name for case in CASES), BRAILLE]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--braille", type=Path, help="the network's file")
    parser.add_argument("--out", type=Path, default=Path("out/compare_chips"))
    parser.add_argument("--epochs", type=int, help="of training; fewer for a quick look")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order, so that training gives the same each time
    for case in CASES:
        if case.name in arguments.only:
            report(case.name, over_digits(case, arguments.epochs or case.epochs), arguments.out)
    if BRAILLE in arguments.only:
        path = arguments.braille or found()
        if path is None:
            print(f"{BRAILLE}: no {FILE}; give it with --braille")
        else:
            report(BRAILLE, over_braille(path), arguments.out)


def over_digits(case: Case, epochs: int) -> ChipComparison:
    """One of the demo's networks, trained as there."""
    data = digits()
    spikes = case.encode(data.train)
    model = trained(case, data, spikes, epochs, Console(stderr=True))
    return compare_chips(
        model,
        sample=torch.as_tensor(spikes[:4]).float(),
        dt=DT,
        calibration=spikes[:HEARD],
        spikes=case.encode(data.test),
    )


def over_braille(path: Path) -> ChipComparison:
    """The network as it was trained; where chips fire otherwise, that is accepted."""
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


def found() -> Path | None:
    """The Braille network's file, where files of others are kept."""
    path = Path(os.environ.get("SNN_TEST_DATA", BESIDE)) / FILE
    return path if path.is_file() else None


def report(name: str, comparison: ChipComparison, out: Path) -> None:
    """The table on stdout, the picture in ``out``."""
    print(f"{name}: {comparison}\n")
    picture = draw(comparison, out / f"{name}.png")
    print(f"picture: {shown(picture)}\n")


def draw(comparison: ChipComparison, path: Path) -> Path:
    """Energy of an inference on each chip."""
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    plot_chips(figure.subplots(), comparison)
    figure.savefig(path, dpi=130)
    return path


if __name__ == "__main__":
    main()

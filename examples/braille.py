"""The NIR paper's Braille network on Xylo Audio 2.

    python examples/braille.py braille_noDelay_noBias_subtract.nir [--seeds 3]

Deploys the published network (12 taxels, 40 recurrent neurons, 7 letters; paper/03_rnn of
github.com/neuromorphs/NIR) and reports, on random touches, how far the chip's spike counts agree
with the network's, the load of the chip, and whether it keeps up with a timestep of 0.1 ms.

The network spikes above its threshold and at most once per timestep; the chip spikes at the
threshold too, and a hidden neuron up to 31 times per timestep. ``allow`` accepts these two
approximations. The second has a large effect: without the limit of one spike that it was trained
with, the network's recurrent excitation grows without bound on sparse input. So the chip is also
compared with the float network under the chip's firing rules.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from toolchain import Deployment, deploy
from toolchain.chips.xylo.approximations import approximate
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import Recording, aligned, count_agreement

Ints = NDArray[np.int64]

DT = 1e-4  # s; from the paper's README, it is not in the file
ALLOWED = ("gt->ge", "spike_cap->chip_cap")
HIDDEN, TAXELS = "lif1.lif", 12
STEPS, SAMPLES = 256, 16  # 256 timesteps are one letter in the published data
RATES = (0.01, 0.02, 0.05, 0.1)


def touches(rate: float, seed: int, samples: int = SAMPLES) -> Ints:
    """Return random spikes (samples, STEPS, TAXELS) with mean probability ``rate`` per timestep.

    A finger slides over the taxels: each is touched for a quarter of the time, the next one a
    little later, and spikes eight times as often while it is touched.
    """
    rng = np.random.default_rng([seed, int(1e6 * rate)])
    step, taxel = np.arange(STEPS)[:, None], np.arange(TAXELS)
    start = rng.integers(0, STEPS, (samples, 1, 1))
    touched = (step - start - taxel * STEPS // TAXELS) % STEPS < STEPS // 4
    chance = rate * np.where(touched, 8, 1) / (8 / 4 + 3 / 4)
    return (rng.random((samples, STEPS, TAXELS)) < chance).astype(np.int64)


def deploy_file(path: Path) -> Deployment:
    """Deploy the network of a NIR file, calibrated on touches of seed 0."""
    calibration = np.concatenate([touches(rate, 0) for rate in RATES])
    return deploy(path, "xylo_a2", dt=DT, allow=ALLOWED, calibration=calibration)


def runs(d: Deployment, spikes: Ints) -> dict[str, Recording]:
    """Run the network as trained, the same with the chip's firing rules, and the chip."""
    firing, _ = approximate(d.graph, d.chip, ALLOWED)
    return {
        "trained": d.reference(spikes, record=True),
        "firing": interpret(firing, spikes, record=True),
        "chip": d.simulate(spikes, record=True),
    }


def agreement(batches: list[dict[str, Recording]], name: str, lag: int) -> str:
    """Format the agreement of the letters' spike counts, chip and run ``name``: mean and range."""
    parts = [
        100 * count_agreement(*aligned(each[name].spikes, each["chip"].spikes, lag))
        for each in batches
    ]
    return f"{np.mean(parts):.1f} % ({min(parts):.1f} to {max(parts):.1f})"


def report(d: Deployment, seeds: range) -> None:
    """Print a row for each input rate, over ``seeds`` not used for calibration."""
    clock = d.chip.clock.main_clock.to("Hz")
    rows = Table(box=None)
    for heading in ("input", "trained", "firing", "hidden: trained", "firing", "chip"):
        rows.add_column(heading, justify="right")
    for heading in ("cycles", f"load, {clock / 1e6:g} MHz"):
        rows.add_column(heading, justify="right")
    for rate in RATES:
        batches = [touches(rate, seed) for seed in seeds]
        recordings = [runs(d, spikes) for spikes in batches]
        load = d.estimate(np.concatenate(batches), clock_hz=clock).load
        assert load is not None
        assert load.nominal is not None
        hidden = (
            np.mean([each[name].layers[HIDDEN].spikes for each in recordings])
            for name in recordings[0]
        )
        rows.add_row(
            f"{100 * rate:.0f} %",
            *(agreement(recordings, name, d.lag) for name in ("trained", "firing")),
            *(f"{mean:.3f}" for mean in hidden),
            f"{load.nominal * clock * DT:,.0f}",
            f"{100 * load.nominal:.0f} %",
        )
    print(f"{len(seeds)} seeds per rate, not used for calibration: agreement of the chip's spike")
    print(
        "counts with the float network as trained and with the chip's firing rules, mean and range;"
    )
    print("spikes per hidden neuron and timestep")
    Console(width=110).print(rows)
    worst = load.high * clock * DT
    keeps_up = "which fits" if load.high <= 1 else "too many: the chip keeps up only on average"
    cycles = f"{worst:,.0f} of {clock * DT:,.0f} cycles per timestep"
    print(f"\nif every neuron spikes: {cycles}, {keeps_up}")


def main() -> None:
    """Deploy the network and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    d = deploy_file(arguments.path)
    print(d, end="\n\n")
    report(d, range(1, 1 + arguments.seeds))


if __name__ == "__main__":
    main()

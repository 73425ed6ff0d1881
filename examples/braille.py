"""The NIR paper's Braille network on Xylo Audio 2.

    python examples/braille.py braille_noDelay_noBias_subtract.nir [--seeds 3]

Reads the weights of the published network (12 taxels, 40 recurrent neurons, 7 letters; paper/03_rnn
of github.com/neuromorphs/NIR), puts it on the chip and says how far the chip's spike counts agree
with the float network's for random touches, how busy the chip is, and whether it keeps up with the
network's timestep of 0.1 ms.

The file was exported from snnTorch, which its constants give away: factors of 0.85 and 0.75 in the
hidden layer, 0.7 and 0.45 in the output, gains of 1. Synapses decay before the input is added.

Reset is by subtraction in the same step, as the paper's README says. The trained network fires only
above its threshold and at most once a step; the chip fires at the threshold too, and a hidden
neuron up to 31 times a step. The float network here does as the chip does; what that changes is
printed, and it is much: the network was trained with one spike a step, and without that limit its
recurrent excitation runs away on sparse input.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from toolchain import deploy
from toolchain.deploy import Deployment
from toolchain.frontends.nir import to_graph
from toolchain.frontends.nir.read import read as read_file
from toolchain.ir import Graph, Neuron
from toolchain.ir.interpret import interpret
from toolchain.recording import count_agreement

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DT = 1e-4  # s; the file does not hold it, the paper's README does
TAXELS = 12
STEPS, SAMPLES = 256, 16  # 256 steps are one reading of a letter in the published data
RATES = (0.01, 0.02, 0.05, 0.1)
CAPS = {"lif1.lif": 31, "lif2": 1}  # most spikes a step on the chip


# ---- reading the file ----


def read(path: Path) -> Graph:
    """The network of the file, firing as the chip does.

    Raises:
        ModelFileError: it is damaged, or not a network that snnTorch exported.
    """
    network = to_graph(read_file(path), dt=DT, dialect="snntorch", reset="subtract")
    return network.map(
        Neuron, lambda name, node: replace(node, compare="ge", max_spikes=CAPS.get(name))
    )


def as_trained(graph: Graph) -> Graph:
    """The same network firing only above the threshold and once a step, as snnTorch does."""
    return graph.map(Neuron, lambda _, node: replace(node, compare="gt", max_spikes=1))


# ---- touches ----


def touches(rate: float, seed: int, samples: int = SAMPLES) -> Ints:
    """Random spikes (samples, STEPS, TAXELS) of that mean probability a step.

    A finger slides over the taxels: each is touched for a quarter of the time, the next one a
    little later, and spikes eight times as often then as otherwise.
    """
    rng = np.random.default_rng([seed, int(1e6 * rate)])
    step, taxel = np.arange(STEPS)[:, None], np.arange(TAXELS)
    start = rng.integers(0, STEPS, (samples, 1, 1))
    touched = (step - start - taxel * STEPS // TAXELS) % STEPS < STEPS // 4
    chance = rate * np.where(touched, 8, 1) / (8 / 4 + 3 / 4)
    return (rng.random((samples, STEPS, TAXELS)) < chance).astype(np.int64)


# ---- the report ----


def agreement(d: Deployment, graph: Graph, spikes: Ints) -> float:
    """Agreement of the letters' spike counts with ``graph``, the chip's lag undone, 0..1."""
    wanted, got = interpret(graph, spikes).spikes, d.simulate(spikes).spikes
    return count_agreement(wanted[:, : STEPS - d.lag], got[:, d.lag :])


def main() -> None:
    """Deploy and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quantizer")
    arguments = parser.parse_args()
    graph = read(arguments.path)
    calibration = np.concatenate([touches(rate, 0) for rate in RATES])
    d = deploy(graph, "xylo_a2", calibration=calibration, quantizer=arguments.quantizer)
    print(d, end="\n\n")
    report(d, graph, range(1, 1 + arguments.seeds))


def report(d: Deployment, graph: Graph, seeds: range) -> None:
    """A line for each input rate, over ``seeds`` that calibration has not seen."""
    clock = d.chip.clock.main_clock.to("Hz")
    trained = as_trained(graph)
    rows = Table(box=None)
    for heading in (
        "input",
        "agreement",
        "by seed",
        "as trained",
        "hidden: as trained",
        "float",
        "chip",
        "cycles",
        f"load, {clock / 1e6:g} MHz",
    ):
        rows.add_column(heading, justify="right")
    for rate in RATES:
        batches = [touches(rate, seed) for seed in seeds]
        found = [100 * agreement(d, graph, spikes) for spikes in batches]
        spikes = np.concatenate(batches)
        load = d.estimate(spikes, clock_hz=clock).load
        assert load is not None
        assert load.nominal is not None
        hidden = [
            run.layers["lif1.lif"].spikes.mean()
            for run in (
                interpret(trained, spikes, record=True),
                d.reference(spikes, record=True),
                d.simulate(spikes, record=True),
            )
        ]
        rows.add_row(
            f"{100 * rate:.0f} %",
            f"{np.mean(found):.1f} %",
            f"{min(found):.1f} to {max(found):.1f} %",
            f"{100 * agreement(d, trained, spikes):.1f} %",
            *(f"{mean:.3f}" for mean in hidden),
            f"{load.nominal * clock * DT:,.0f}",
            f"{100 * load.nominal:.0f} %",
        )
    print("spikes that calibration has not seen; agreement of the letters' spike counts with the")
    print("float network and with the network as trained; spikes a hidden neuron and step")
    Console(width=110).print(rows)
    worst = load.high * clock * DT
    keeps_up = "which fits" if load.high <= 1 else "which does not fit: it keeps up on average only"
    print(f"\nif every neuron spikes: {worst:,.0f} cycles a step of {clock * DT:,.0f}, {keeps_up}")


if __name__ == "__main__":
    main()

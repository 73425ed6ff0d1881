"""The NIR paper's Braille network on Xylo Audio 2.

    python examples/braille.py braille_noDelay_noBias_subtract.nir [--seeds 3]

Reads the weights of the published network (12 taxels, 40 recurrent neurons, 7 letters; paper/03_rnn
of github.com/neuromorphs/NIR), puts it on the chip and says how far the chip's spike counts agree
with the float network's for random touches, how busy the chip is, and whether it keeps up with the
network's timestep of 0.1 ms.

The file was exported from snnTorch. Its constants are turned into decay factors a step by Euler's
rule, ``1 - dt / tau``, with gains ``r dt / tau_mem`` and ``w_in dt / tau_syn``, which gives back
what was trained: factors of 0.85 and 0.75 in the hidden layer, 0.7 and 0.45 in the output, gains
of 1. Synapses decay before the input is added.

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

import h5py
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from toolchain import deploy
from toolchain.deploy import Deployment
from toolchain.ir import Add, Edge, Graph, Input, Linear, Neuron, Output
from toolchain.ir.interpret import interpret
from toolchain.recording import count_agreement

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DT = 1e-4  # s; the file does not hold it, the paper's README does
TAXELS, HIDDEN, LETTERS = 12, 40, 7
STEPS, SAMPLES = 256, 16  # 256 steps are one reading of a letter in the published data
RATES = (0.01, 0.02, 0.05, 0.1)
LARGEST = 1 << 20  # bytes of a file that is opened at all


# ---- reading the file ----


def array(file: h5py.File, path: str, shape: tuple[int, ...]) -> Floats:
    """The numbers at ``path``, of that shape and finite.

    Raises:
        ValueError: there is something else, or a link out of the file.
    """
    group: h5py.Group = file
    for part in path.split("/"):
        if not isinstance(group, h5py.Group) or part not in group:
            raise ValueError(f"{file.filename}: no {path}")
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{file.filename}: {path} is a link")
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.is_virtual or group.external:
        raise ValueError(f"{file.filename}: {path} is no plain array")
    if group.shape != shape or group.dtype.kind != "f":
        raise ValueError(
            f"{file.filename}: {path} must be numbers of shape {shape}, "
            f"got {group.dtype} of shape {group.shape}"
        )
    values = np.asarray(group[()], dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{file.filename}: {path} holds NaN or infinite values")
    return values


def neurons(file: h5py.File, name: str, size: int, cap: int) -> Neuron:
    """The layer ``name`` in steps of DT.

    Raises:
        ValueError: constants that snnTorch does not export.
    """
    names = ("tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold")
    of = {field: array(file, f"node/nodes/{name}/{field}", (size,)) for field in names}
    if min(of["tau_mem"].min(), of["tau_syn"].min()) < DT:
        raise ValueError(f"{name}: a time constant is shorter than a step of {DT:g} s")
    gains = of["r"] * DT / of["tau_mem"], of["w_in"] * DT / of["tau_syn"]
    if not np.allclose(gains, 1, atol=1e-5) or of["v_leak"].any():
        raise ValueError(f"{name}: gains are not 1 or v_leak is not 0; not written by snnTorch")
    return Neuron(
        shape=(size,),
        alpha_mem=1 - DT / of["tau_mem"],
        alpha_syn=(1 - DT / of["tau_syn"])[:, None],
        syn_order="decay_add",
        v_threshold=of["v_threshold"],
        max_spikes=cap,
    )


def read(path: Path) -> Graph:
    """The network of the file, firing as the chip does.

    Raises:
        ValueError: the file is not that network.
        OSError: there is no such file, or it is not HDF5.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path}: larger than {LARGEST} bytes")
    with h5py.File(path, "r") as file:
        weights = {
            name: Linear(weight=array(file, f"node/nodes/{name}/weight", shape))
            for name, shape in (
                ("fc1", (HIDDEN, TAXELS)),
                ("lif1.w_rec", (HIDDEN, HIDDEN)),
                ("fc2", (LETTERS, HIDDEN)),
            )
        }
        hidden = neurons(file, "lif1.lif", HIDDEN, cap=31)
        letters = neurons(file, "lif2", LETTERS, cap=1)
    return Graph(
        {
            "input": Input(shape=(TAXELS,)),
            "sum": Add(),
            "lif1": hidden,
            "lif2": letters,
            "output": Output(),
            **weights,
        },
        [
            Edge("input", "fc1"),
            Edge("fc1", "sum"),
            Edge("lif1", "lif1.w_rec"),
            Edge("lif1.w_rec", "sum", 1),
            Edge("sum", "lif1"),
            Edge("lif1", "fc2"),
            Edge("fc2", "lif2"),
            Edge("lif2", "output"),
        ],
        dt=DT,
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
            run.layers["lif1"].spikes.mean()
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

"""The trained N-MNIST network of the NIR paper on Speck 2f, with both quantizers.

    python benchmarks/nmnist.py

Needs ``cnn_sinabs.nir`` and ``sample_nmnist.bin`` in ``shared/data`` beside the checkout; see
tests/oracles/nmnist.py. ``auto`` is calibrated on the one recording, binned at 1 ms. Both
quantizers are then evaluated on it and on twelve variations of it (rotated, shifted, reversed,
thinned); ``auto, others`` is calibrated on six of these and evaluated on the other six. The columns
are the spikes of the five layers and the agreement of the output counts with the float network.
"""

import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.oracles import nmnist
from toolchain import deploy
from toolchain.deployment import Deployment
from toolchain.runs.recording import Recording, count_agreement


def row(table: Table, name: str, run: Recording, wanted: Recording) -> None:
    """Add a row: spikes of each layer, agreement of the outputs, and equal classes."""
    counts = [f"{int(layer.spikes.sum())}" for layer in run.layers.values()]
    flat = wanted.spikes.reshape(run.spikes.shape)
    named, meant = (spikes.sum(axis=1).argmax(axis=1) for spikes in (run.spikes, flat))
    same = f"{int((named == meant).sum())} of {len(named)}"
    table.add_row(name, *counts, f"{100 * count_agreement(flat, run.spikes):.1f} %", same)


def show(title: str, raster: np.ndarray, deployments: dict[str, Deployment]) -> None:
    """Print a table of the result of each deployment on ``raster``."""
    table = Table("", *(f"layer {n}" for n in range(1, 6)), "agreement", "same class", title=title)
    wanted = next(iter(deployments.values())).reference(raster, record=True)
    row(table, "float", wanted, wanted)
    for name, deployment in deployments.items():
        row(table, name, deployment.simulate(raster, record=True), wanted)
    Console().print(table)


def main() -> None:
    """Print the tables."""
    if nmnist.MISSING:
        sys.exit(f"missing files: {', '.join(nmnist.MISSING)}")
    network, raster = nmnist.network(), nmnist.recording()
    others = nmnist.variations(raster)
    start = time.perf_counter()
    auto = deploy(network, chip="speck2f", calibration=raster)
    seconds = time.perf_counter() - start
    common = deploy(network, chip="speck2f", quantizer="common")
    trained = deploy(network, chip="speck2f", calibration=others[::2])
    show("the recording", raster, {"common": common, "auto": auto})
    show("twelve others, not used for calibration", others, {"common": common, "auto": auto})
    show(
        "six others, not used for calibration",
        others[1::2],
        {"common": common, "auto, others": trained},
    )
    print(f"deployed with auto in {seconds:.1f} s")
    for finding in auto.diagnostics:
        if finding.rule in ("levels", "agreement"):
            print(finding)


if __name__ == "__main__":
    main()

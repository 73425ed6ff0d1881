"""Programs of the networks that were measured.

Random weights were not published. Cycles depend only on which connections exist; all exist unless
stated otherwise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolchain import deploy
from toolchain.chips.xylo import XyloProgram
from toolchain.ir.fan_out import conv_fan_out

__all__ = ["LENS_CORES", "braille", "braille_counted", "dense", "residual", "synnet", "yao_fan_out"]

LENS_CORES = 3
"""Cores of the network of LENS: 8x8 of stride 8 on the events, 200 neurons, places."""

Integers = npt.NDArray[np.int64]

BRAILLE = "braille_noDelay_noBias_subtract.nir"
ENTRIES = 1555
"""Recurrent connections of the published network after quantization, 38.9 a neuron."""


def _program(chip: str, weights: dict[str, Integers], **spec: object) -> XyloProgram:
    hidden, outputs = weights["weights_out"].shape[0], weights["weights_out"].shape[1]
    decays = {"dash_mem": np.full(hidden, 3), "dash_syn": np.full(hidden, 2)}
    decays |= {"dash_mem_out": np.full(outputs, 3), "dash_syn_out": np.full(outputs, 2)}
    thresholds = {"threshold": 1000, "threshold_out": 1000}
    # dt: of no consequence, the load says how fast steps went by
    return XyloProgram.from_specification(chip, **weights, **decays, **thresholds, dt=1e-3, **spec)


def residual(chip: str, inputs: int, zeros: int = 0) -> XyloProgram:
    """Return the documentation's inputs-(4+4)-2 network: four neurons and four recurrent ones.

    The first four pass their spikes on to the other four through aliases.

    Args:
        chip: its name.
        inputs: channels.
        zeros: recurrent weights that quantization rounded to 0.
    """
    weights_in = np.zeros((inputs, 8), int)
    weights_in[:, :4] = 1
    weights_rec = np.zeros((8, 8), int)
    weights_rec[:, 4:] = 1
    weights_rec[0, 4 : 4 + zeros] = 0
    weights_out = np.zeros((8, 2), int)
    weights_out[4:] = 1
    weights = {"weights_in": weights_in, "weights_rec": weights_rec, "weights_out": weights_out}
    return _program(chip, weights, aliases=[[4], [5], [6], [7], [], [], [], []])


def dense(chip: str, inputs: int, hidden: int, outputs: int) -> XyloProgram:
    """Return a network with one hidden layer without recurrence."""
    return synnet(chip, inputs, (hidden,), outputs)


def synnet(chip: str, inputs: int, layers: tuple[int, ...], outputs: int) -> XyloProgram:
    """Return a network of fully connected hidden layers in series."""
    ends = np.cumsum([0, *layers])
    hidden = int(ends[-1])
    weights_in = np.zeros((inputs, hidden), int)
    weights_in[:, : layers[0]] = 1
    weights_rec = np.zeros((hidden, hidden), int)
    for first, middle, last in zip(ends, ends[1:], ends[2:], strict=False):
        weights_rec[first:middle, middle:last] = 1
    weights_out = np.zeros((hidden, outputs), int)
    weights_out[ends[-2] :] = 1
    return _program(
        chip,
        {"weights_in": weights_in, "weights_rec": weights_rec, "weights_out": weights_out},
    )


def braille(folder: Path) -> XyloProgram | None:
    """Deploy the published network to Audio 2, one scale per neuron; None without its file."""
    path = folder / BRAILLE
    if not path.is_file():
        return None
    allow = ("gt->ge", "spike_cap->chip_cap")
    found = deploy(path, "xylo_a2", dt=1e-4, quantizer="channel", allow=allow).program
    assert isinstance(found, XyloProgram)
    return found


def braille_counted() -> XyloProgram:
    """Return a network with the shape and number of connections of ``braille``: same cycles."""
    weights_rec = np.zeros(40 * 40, int)
    weights_rec[:ENTRIES] = 1
    return _program(
        "xylo_a2",
        {
            "weights_in": np.ones((12, 40), int),
            "weights_rec": weights_rec.reshape(40, 40),
            "weights_out": np.ones((40, 7), int),
        },
    )


def yao_fan_out() -> tuple[float, float]:
    """Return the fewest and the most synops of a spike of 32C3S1-32C3S2-32C3S1-AP4-32FC-Out.

    Mean over a map, of the layer whose spikes cause the fewest and of that with the most. Spikes of
    the 32 neurons of 32FC are left out: there are few of them.
    """
    # a map of 64 x 64 has few edges; the size of the input is not stated
    shape, maps = (
        (32, 64, 64),
        {"32C3S2": ((32, 32, 3, 3), (2, 2)), "32C3S1": ((32, 32, 3, 3), (1, 1))},
    )
    means = [
        float(conv_fan_out(shape, weight, stride, (1, 1)).mean())
        for weight, stride in maps.values()
    ]
    dense = 32.0  # a spike before AP4 reaches every neuron of 32FC
    return min(dense, *means), max(dense, *means)

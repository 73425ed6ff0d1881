"""The N-MNIST network of the NIR paper and one recording, where their files are at hand.

Both are others' work and not part of this project: ``cnn_sinabs.nir`` (paper/02_cnn of
github.com/neuromorphs/NIR) and ``sample_nmnist.bin`` (tests of github.com/neuromorphs/tonic). They
are looked for in the folder that ``SNN_TEST_DATA`` names, else in ``shared/data`` beside the
checkout.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolchain.frontends.nir import to_graph
from toolchain.frontends.nir.read import read
from toolchain.ir import Graph, Neuron

BESIDE = Path(__file__).parents[3] / "shared" / "data"
FOLDER = Path(os.environ.get("SNN_TEST_DATA", BESIDE))
NETWORK, RECORDING = FOLDER / "cnn_sinabs.nir", FOLDER / "sample_nmnist.bin"
MISSING = [str(path) for path in (NETWORK, RECORDING) if not path.exists()]

DT = 1e-3  # s
SHAPE = (2, 34, 34)
LARGEST = 1 << 20  # bytes of a file that is opened at all
# Spike counts of the five layers that sinabs gives for the recording: in floats, and in the
# integers of its quantizer, with their thresholds.
FLOAT_COUNTS = (10938, 26286, 22088, 24210, 1730)
SINABS_COUNTS = (10803, 25764, 21662, 23793, 1641)
SINABS_THRESHOLDS = (72, 128, 205, 108, 197)
DIGIT = 4


def network(floor: float | None = -1.0) -> Graph:
    """The trained network as its NIR file says; a floor of -1 is what sinabs reads it with."""
    read_in = to_graph(read(NETWORK), dt=DT, dialect="sinabs")
    return read_in.map(Neuron, lambda _, node: replace(node, v_min=floor))


def recording() -> np.ndarray:
    """Counts (1, steps, 2, 34, 34) of the events, binned at ``DT``.

    Five bytes an event: x, y, then one bit of polarity and 23 of time in µs, big endian.
    """
    _check_size(RECORDING)
    data = np.frombuffer(RECORDING.read_bytes(), np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, polarity = data[:, 0], data[:, 1], data[:, 2] >> 7
    microseconds = (data[:, 2] & 127) << 16 | data[:, 3] << 8 | data[:, 4]
    step = microseconds // round(DT * 1e6)
    raster = np.zeros((1, int(step.max()) + 1, *SHAPE), np.int64)
    np.add.at(raster, (0, step, polarity, y, x), 1)
    return raster


def variations(raster: np.ndarray) -> np.ndarray:
    """Twelve other recordings made of one: turned, shifted, reversed, thinned."""
    rng = np.random.default_rng(0)
    turned = [raster[..., ::-1], raster[..., ::-1, :], np.swapaxes(raster, -1, -2)]
    others = [raster[:, ::-1], raster[:, :, ::-1], raster[:, ::-1, :, ::-1]]
    shifts = ((2, 0), (0, 2), (-2, 1), (1, -3))
    shifted = [np.roll(raster, shift, (-2, -1)) for shift in shifts]
    thinned = [rng.binomial(raster, kept) for kept in (0.8, 0.6)]
    return np.concatenate([*turned, *others, *shifted, *thinned])


def _check_size(path):
    size = path.stat().st_size
    assert size <= LARGEST, f"{path.name} has {size} bytes, more than {LARGEST}"

"""The N-MNIST network of the NIR paper and one recording, where their files are at hand.

Both are others' work and not part of this project: ``cnn_sinabs.nir`` (paper/02_cnn of
github.com/neuromorphs/NIR) and ``sample_nmnist.bin`` (tests of github.com/neuromorphs/tonic). They
are looked for in the folder that ``SNN_TEST_DATA`` names, else in ``shared/data`` beside the
checkout.
"""

import os
from pathlib import Path

import numpy as np

from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output, SumPool2d

BESIDE = Path(__file__).parents[3] / "shared" / "data"
FOLDER = Path(os.environ.get("SNN_TEST_DATA", BESIDE))
NETWORK, RECORDING = FOLDER / "cnn_sinabs.nir", FOLDER / "sample_nmnist.bin"
MISSING = [str(path) for path in (NETWORK, RECORDING) if not path.exists()]

DT = 1e-3  # s
SHAPE = (2, 34, 34)
LARGEST = 1 << 20  # bytes of a file that is opened at all
LAYERS = {  # NIR node: shape of its weight, or of its neurons, or None
    "0": (16, 2, 5, 5),
    "1": (16, 16, 16),
    "2": (16, 16, 3, 3),
    "3": (16, 16, 16),
    "4": None,
    "5": (8, 16, 3, 3),
    "6": (8, 8, 8),
    "7": None,
    "8": None,
    "9": (256, 128),
    "10": (256,),
    "11": (10, 256),
    "12": (10,),
}
# Spike counts of the five layers that sinabs gives for the recording: in floats, and in the
# integers of its quantizer, with their thresholds.
FLOAT_COUNTS = (10938, 26286, 22088, 24210, 1730)
SINABS_COUNTS = (10803, 25764, 21662, 23793, 1641)
SINABS_THRESHOLDS = (72, 128, 205, 108, 197)
DIGIT = 4


def network(floor: float | None = -1.0) -> Graph:
    """The trained network; sinabs trains with a floor of -1, which NIR has no word for."""
    import h5py

    _check_size(NETWORK)
    nodes = {"input": Input(shape=SHAPE)}
    with h5py.File(NETWORK) as file:
        for name, shape in LAYERS.items():
            nodes[name] = _node(file[f"node/nodes/{name}"], shape, floor)
    return Graph.chain(nodes | {"output": Output()}, dt=DT)


def _node(group, shape, floor):
    kind = group["type"][()].decode()
    if kind == "Flatten":
        return Flatten()
    if kind == "SumPool2d":
        return SumPool2d(kernel=_pair(group, "kernel_size"), stride=_pair(group, "stride"))
    if kind == "IF":
        return Neuron(shape=shape, v_threshold=_array(group, "v_threshold", shape), v_min=floor)
    weight, bias = _array(group, "weight", shape), _array(group, "bias", shape[:1])
    bias = bias if bias.any() else None
    if kind == "Affine":
        return Linear(weight=weight, bias=bias)
    assert kind == "Conv2d", f"unexpected {kind}"
    stride, padding = _pair(group, "stride"), _pair(group, "padding")
    return Conv2d(weight=weight, bias=bias, stride=stride, padding=padding)


def _pair(group, name):
    first, second = _array(group, name, (2,))
    return int(first), int(second)


def _array(group, name, shape):
    found = group[name]
    assert found.shape == shape, f"{name} has shape {found.shape}"
    assert found.dtype.kind in "fi", f"{name} holds {found.dtype}"
    return found[()]


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

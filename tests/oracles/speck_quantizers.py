"""Random layers with the integers that sinabs makes of them, for tests that run without sinabs.

``python tests/oracles/speck_quantizers.py`` writes the file anew; it needs requirements-sinabs.txt.
An archive of plain arrays: ``<case>.<float | sinabs>.<name>`` with the names weight, bias,
threshold, floor and initial.
"""

import importlib.util
from pathlib import Path

import numpy as np

from toolchain.ir import Conv2d, Graph, Input, Neuron, Output

FILE = Path(__file__).parent / "data" / "speck_quantizers.npz"
SEEDS = range(24)


def random_layer(seed):
    """Float32 parameters of a convolution and its neurons; each word limits some of them."""
    rng = np.random.default_rng(seed)
    outputs, inputs, side = (int(n) for n in rng.integers(1, 6, 3))
    layer = {
        "weight": rng.normal(size=(outputs, inputs, side, side)) * _size(rng, -4, 2),
        "threshold": _size(rng, -2, 2),
        "floor": -_size(rng, -2, 3),
    }
    if seed % 3:
        layer["bias"] = rng.normal(size=outputs) * _size(rng, -4, 2)
    if seed % 4 == 0:
        layer["initial"] = rng.normal(size=(outputs, 2, 2)) * _size(rng, -2, 3)
    return {name: np.asarray(value, np.float32) for name, value in layer.items()}


def _size(rng, low, high):
    return 10.0 ** rng.uniform(low, high)


def graph_of(layer):
    """The layer on a map that makes 2 x 2 neurons."""
    outputs, inputs, *kernel = layer["weight"].shape
    neurons = Neuron(
        shape=(outputs, 2, 2),
        v_threshold=layer["threshold"],
        v_min=layer.get("floor"),
        v_init=layer.get("initial", 0.0),
    )
    nodes = {
        "input": Input(shape=(inputs, kernel[0] + 1, kernel[1] + 1)),
        "conv": Conv2d(weight=layer["weight"], bias=layer.get("bias")),
        "neurons": neurons,
        "output": Output(),
    }
    return Graph.chain(nodes)


def assert_integers(graph, wanted):
    """The layer of a quantized ``graph_of`` holds the integers ``wanted``."""
    conv, neurons = graph["conv"], graph["neurons"]
    np.testing.assert_array_equal(conv.weight, wanted["weight"])
    np.testing.assert_array_equal(neurons.v_threshold, np.maximum(1, wanted["threshold"]))
    if "bias" in wanted:
        np.testing.assert_array_equal(conv.bias, wanted["bias"])
    if "floor" in wanted:
        np.testing.assert_array_equal(neurons.v_min, wanted["floor"])
    if "initial" in wanted:
        np.testing.assert_array_equal(neurons.v_init, wanted["initial"])


def by_sinabs(layer):
    """The integers that sinabs makes of such a layer; ``floor`` may be missing."""
    import sinabs
    import sinabs.layers as sl
    import torch

    # this module alone: the package that holds it would load samna
    path = Path(sinabs.__file__).parent / "backend" / "dynapcnn" / "discretize.py"
    spec = importlib.util.spec_from_file_location("discretize", path)
    discretize = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(discretize)

    outputs, inputs, *kernel = layer["weight"].shape
    conv = torch.nn.Conv2d(inputs, outputs, kernel, bias="bias" in layer)
    conv.weight.data = torch.as_tensor(layer["weight"])
    if "bias" in layer:
        conv.bias.data = torch.as_tensor(layer["bias"])
    floor = float(layer["floor"]) if "floor" in layer else None
    neurons = sl.IAFSqueeze(
        batch_size=1, spike_threshold=float(layer["threshold"]), min_v_mem=floor
    )
    if "initial" in layer:
        neurons.init_state_with_shape((1, *layer["initial"].shape))
        neurons.v_mem = torch.as_tensor(layer["initial"][None])
    conv, neurons = discretize.discretize_conv_spike(conv, neurons, to_int=True)
    found = {"weight": conv.weight, "threshold": neurons.spike_threshold}
    found |= {"bias": conv.bias} if "bias" in layer else {}
    found |= {"floor": neurons.min_v_mem} if "floor" in layer else {}
    found |= {"initial": neurons.v_mem[0]} if "initial" in layer else {}
    return {name: value.detach().numpy().astype(np.int64) for name, value in found.items()}


def write():
    """Record every case."""
    entries = {}
    for seed in SEEDS:
        layer = random_layer(seed)
        entries |= {f"{seed}.float.{name}": value for name, value in layer.items()}
        for name, value in by_sinabs(layer).items():
            entries[f"{seed}.sinabs.{name}"] = value.astype(np.int16)
    np.savez_compressed(FILE, **entries)


def read():
    """(case, float layer, integers of sinabs) of every case."""
    with np.load(FILE, allow_pickle=False) as archive:
        entries = {name: archive[name] for name in archive.files}
    for seed in SEEDS:
        parts = {"float": {}, "sinabs": {}}
        for name, value in entries.items():
            case, kind, field = name.split(".")
            if case == str(seed):
                parts[kind][field] = value
        yield seed, parts["float"], parts["sinabs"]


if __name__ == "__main__":
    write()

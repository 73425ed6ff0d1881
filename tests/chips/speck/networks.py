"""Networks whose memories and placements are published, and a builder for short ones."""

import numpy as np

from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram


def chain(input_shape, *layers, **program):
    """A sequence of cores, each ``dict(outputs, kernel, pool=1, **fields of SpeckCore)``.

    ``kernel=None`` makes a linear layer. Weights are zero unless given.
    """
    cores, shape = [], input_shape
    for index, layer in enumerate(layers):
        fields = {"name": f"spk{index}", "weight_name": f"conv{index}", "threshold_high": 100}
        fields |= {"threshold_low": -100, "input_shape": shape, "monitor": index + 1 == len(layers)}
        fields |= layer
        outputs, kernel, pool = fields.pop("outputs"), fields.pop("kernel"), fields.pop("pool", 1)
        kernel = shape[1:] if kernel is None else (kernel, kernel)
        fields.setdefault("weight", np.zeros((outputs, fields["input_shape"][0], *kernel), np.int8))
        if index + 1 < len(layers):
            fields.setdefault("destinations", (Destination(layer=f"spk{index + 1}", pooling=pool),))
        cores.append(SpeckCore(**fields))
        shape = cores[-1].pooled_shape(pool)
    defaults = {
        "chip": "speck2f",
        "dt": 1e-3,
        "input_shape": input_shape,
        "inputs": (Destination(layer=cores[0].name),),
        "outputs": (cores[-1].name,),
    }
    return SpeckProgram(**{**defaults, **program}, cores=tuple(cores))


def lenet():
    """sinabs' test network: 28x28, two pooled convolutions, one more, two linear layers."""
    return chain(
        (1, 28, 28),
        {"outputs": 20, "kernel": 5, "pool": 2},
        {"outputs": 32, "kernel": 5, "pool": 2},
        {"outputs": 128, "kernel": 3, "pool": 2},
        {"outputs": 500, "kernel": None},
        {"outputs": 10, "kernel": None},
    )


def nmnist():
    """sinabs' quick start: 34x34 events, two pooled convolutions, two linear layers."""
    return chain(
        (2, 34, 34),
        {"outputs": 8, "kernel": 3, "padding": (1, 1), "pool": 2},
        {"outputs": 16, "kernel": 3, "padding": (1, 1), "pool": 2},
        {"outputs": 16, "kernel": 3, "padding": (1, 1), "stride": (2, 2)},
        {"outputs": 10, "kernel": None},
    )


def cnn_sinabs():
    """The network of ``cnn_sinabs.nir``: 2x34x34, convolutions 16-16-8, linear 256-10."""
    return chain(
        (2, 34, 34),
        {"outputs": 16, "kernel": 5, "padding": (1, 1), "stride": (2, 2)},
        {"outputs": 16, "kernel": 3, "padding": (1, 1), "pool": 2},
        {"outputs": 8, "kernel": 3, "padding": (1, 1), "pool": 2},
        {"outputs": 256, "kernel": None},
        {"outputs": 10, "kernel": None},
    )


def gesture():
    """sinabs' nine-layer gesture network for a 128x128 sensor and 11 classes."""
    same = {"kernel": 3, "padding": (1, 1)}
    return chain(
        (2, 128, 128),
        {"outputs": 16, "kernel": 2, "stride": (2, 2)},
        {"outputs": 16, **same, "pool": 2},
        {"outputs": 32, **same, "pool": 2},
        {"outputs": 32, **same, "pool": 2},
        {"outputs": 64, **same, "pool": 2},
        {"outputs": 64, **same, "pool": 2},
        {"outputs": 64, **same},
        {"outputs": 128, "kernel": None},
        {"outputs": 11, "kernel": None},
    )

"""NIR files that spyx writes, and the spikes of the networks that it wrote them from.

Runs in spyx's environment: ``.venv-oracles/spyx/bin/python -m tests.oracles.frameworks.spyx``. With
``--record`` it writes ``data/frameworks/spyx.npz``, which ``make test`` replays; in any case it
compares our Graph of the file that spyx writes now with the network, spike for spike.
"""

import argparse
import importlib.metadata
import sys
import tempfile
from pathlib import Path

import jax.numpy as jnp
import nir
import numpy as np
import spyx.nir
import spyx.nn as snn
from flax import nnx

from tests.oracles.spyx_files import RECORDED, differing
from toolchain.frontends.nir.read import read

STEPS, SEED = 120, 5


def dense(inputs, outputs, rngs, bias=False):
    layer = nnx.Linear(inputs, outputs, use_bias=bias, rngs=rngs)
    layer.kernel[...] = layer.kernel[...] * 2
    if bias:
        layer.bias[...] = jnp.linspace(-0.2, 0.3, outputs)
    return layer


def networks():
    """By name: the layers, and the shape of the input in NIR's order."""
    rngs = nnx.Rngs(SEED)
    yield "lif", (dense(6, 8, rngs), snn.LIF((8,), rngs=rngs)), (6,)
    yield "one beta", (dense(6, 8, rngs), snn.LIF((8,), beta=0.9, threshold=0.7, rngs=rngs)), (6,)
    yield "if", (dense(6, 8, rngs), snn.IF((8,))), (6,)
    yield "cuba", (dense(6, 8, rngs), snn.CuBaLIF((8,), rngs=rngs)), (6,)
    deep = (dense(6, 8, rngs), snn.LIF((8,), rngs=rngs), dense(8, 5, rngs))
    yield "deep", (*deep, snn.CuBaLIF((5,), rngs=rngs)), (6,)
    yield "bias", (dense(6, 8, rngs, bias=True), snn.LIF((8,), rngs=rngs)), (6,)
    yield "psu", (dense(6, 8, rngs), snn.PSU_LIF((8,), rngs=rngs)), (6,)
    for kind in (snn.RIF, snn.RLIF, snn.RCuBaLIF):
        yield kind.__name__, (dense(6, 8, rngs), kind((8,), rngs=rngs)), (6,)
    conv = nnx.Conv(2, 3, (3, 3), padding="VALID", rngs=rngs)
    pool = (snn.LIF((6, 6, 3), rngs=rngs), snn.SumPool((2, 2), (2, 2), "VALID"), snn.Flatten())
    yield "conv", (conv, *pool, dense(27, 4, rngs), snn.LIF((4,), rngs=rngs)), (2, 8, 8)


def drive(shape):
    """Input (steps, *shape), in NIR's order."""
    return np.random.default_rng(SEED).poisson(0.7, (STEPS, *shape)).astype(np.float32)


def run(net, x):
    """Spikes (steps, features) of the network, which takes channels last."""
    last = np.moveaxis(x, 1, -1) if x.ndim == 4 else x
    out, _ = snn.run(net, jnp.asarray(last)[:, None])
    return np.asarray(out)[:, 0]


def exported(net, shape, features, folder):
    """The file that spyx and nir write, as bytes."""
    ends = {"input": np.array(shape)}, {"output": np.array([features])}
    path = Path(folder) / "new.nir"
    nir.write(path, spyx.nir.to_nir(net, *ends))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--record", action="store_true")
    options = parser.parse_args()
    found = {"version": np.array(importlib.metadata.version("spyx"))}
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, layers, shape in networks():
            net, x = snn.Sequential(*layers), drive(shape)
            spikes = run(net, x)
            path = exported(net, shape, spikes.shape[-1], folder)
            found |= {f"{name}/input": x.astype(np.uint8), f"{name}/spikes": spikes}
            found[f"{name}/file"] = np.frombuffer(path.read_bytes(), np.uint8)
            wrong = differing(read(path), x, spikes)
            faults += bool(wrong)
            sys.stdout.write(f"{name}: {int(spikes.sum())} spikes, {wrong} differ\n")
    if options.record:
        np.savez_compressed(RECORDED, **found)
    else:
        before = np.load(RECORDED)
        faults += sum(not np.array_equal(before[k], v) for k, v in found.items() if "file" not in k)
    return faults


if __name__ == "__main__":
    sys.exit(main())

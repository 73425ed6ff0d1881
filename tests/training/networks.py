"""Small networks of both families for tests of training, each deployed once."""

from functools import cache

import numpy as np

from toolchain import deploy
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output

LEAKS = {"alpha_mem": 0.9375, "alpha_syn": np.array([0.875]), "v_threshold": 1.0}


def sparse(rng, *shape):
    """Weights of which a third is no connection."""
    return rng.normal(0.1, 0.4, shape) * (rng.random(shape) < 0.67)


@cache
def dense():
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input(shape=(6,)),
        "encoder.fc": Linear(weight=sparse(rng, 9, 6)),
        "forward": Neuron(shape=(9,), max_spikes=31, **LEAKS),
        "training": Linear(weight=sparse(rng, 4, 9)),
        "encoder.fc.weight": Neuron(shape=(4,), max_spikes=1, **LEAKS),
        "output": Output(),
    }
    return deploy(Graph.chain(nodes, dt=1e-3), "xylo_a2", calibration=spikes(6))


@cache
def maps():
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input(shape=(2, 6, 6)),
        "conv": Conv2d(weight=sparse(rng, 3, 2, 3, 3)),
        "if1": Neuron(shape=(3, 4, 4), v_threshold=1.0, v_min=-1.0),
        "flat": Flatten(),
        "fc": Linear(weight=sparse(rng, 5, 48)),
        "if2": Neuron(shape=(5,), v_threshold=1.0, v_min=-1.0),
        "output": Output(),
    }
    return deploy(Graph.chain(nodes, dt=1e-3), "speck2f", calibration=spikes(2, 6, 6))


def spikes(*shape):
    return np.random.default_rng(1).poisson(0.4, (6, 20, *shape))


CASES = {"dense": (dense, "clocked"), "maps": (maps, "clocked"), "maps by event": (maps, "event")}

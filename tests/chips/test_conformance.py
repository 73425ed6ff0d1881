"""Both built-in families pass the conformance kit."""

from itertools import pairwise

import numpy as np

from toolchain import deploy
from toolchain.chips.conformance import CHECKS, Limit, Subject, parametrize_with_checks
from toolchain.chips.speck.outputs import flat_outputs
from toolchain.chips.speck.simulate.twin import simulate_densely
from toolchain.chips.xylo.simulate.twin import simulate_slow
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output, SumPool2d

DT = 1e-3
LEAKS = {"alpha_mem": 0.9375, "alpha_syn": np.array([0.875]), "v_threshold": 1.0}


def dense(*sizes, weight=0.5, recurrent=False, **neuron):
    """Dense layers and leaky neurons, of names that are no default anywhere."""
    rng = np.random.default_rng(0)
    nodes = {"microphone": Input(shape=sizes[:1])}
    for k, (pre, post) in enumerate(pairwise(sizes)):
        cap = 1 if k == len(sizes) - 2 else 31
        nodes[f"w{k}"] = Linear(weight=rng.normal(0.3 * weight, weight, (post, pre)))
        fields = {**LEAKS, "max_spikes": cap, **neuron}
        nodes[f"layer{k}"] = Neuron(shape=(post,), **fields)
    nodes["answer"] = Output()
    return Graph.chain(nodes, dt=DT)


def maps(channels=4, side=8, kernel=3, stride=1, **neuron):
    """A convolution, a pool and a dense layer."""
    rng = np.random.default_rng(0)
    rows = (side - kernel) // stride + 1
    fields = {"v_threshold": 1.0, "v_min": -1.0, **neuron}
    nodes = {
        "camera": Input(shape=(2, side, side)),
        "w1": Conv2d(
            weight=rng.normal(0.1, 0.4, (channels, 2, kernel, kernel)), stride=(stride, stride)
        ),
        "edges": Neuron(shape=(channels, rows, rows), **fields),
        "pooled": SumPool2d(kernel=2, stride=2),
        "flat": Flatten(),
        "w2": Linear(weight=rng.normal(0.1, 0.4, (3, channels * (rows // 2) ** 2))),
        "classes": Neuron(shape=(3,), **fields),
        "answer": Output(),
    }
    return Graph.chain(nodes, dt=DT)


def counts(*shape):
    return np.random.default_rng(1).poisson(0.3, (3, 12, *shape))


def events():
    """Spikes at random addresses, at the first µs of their timestep."""
    raster = np.minimum(counts(2, 8, 8), 1)
    raster[:, -1, 0, 0, 0] = 1  # events end with the last of them
    arrays = []
    for sample in raster:
        t, p, y, x = np.nonzero(sample)
        array = np.zeros(len(t), [("x", "u2"), ("y", "u2"), ("t", "i8"), ("p", "u1")])
        array["x"], array["y"], array["t"], array["p"] = x, y, t * round(DT * 1e6), p
        arrays.append(array)
    return arrays, raster


XYLO = Subject(
    chip="xylo_a2",
    deploy=deploy,
    network=lambda: dense(6, 9, 4),
    spikes=lambda: counts(6),
    limits={
        "input_channels": Limit(
            at=lambda: dense(16, 4, 2), past=lambda: dense(17, 4, 2), need=17, limit=16
        ),
        "output_neurons": Limit(
            at=lambda: dense(4, 9, 8), past=lambda: dense(4, 9, 9), need=9, limit=8
        ),
        "comparison": Limit(at=lambda: dense(4, 4, 2), past=lambda: dense(4, 4, 2, compare="gt")),
    },
    faulty=lambda: dense(17, 4, 9, compare="gt"),
    faults=("input_channels", "output_neurons", "comparison"),
    twin=lambda program, spikes: simulate_slow(program, spikes).spikes,
)
SPECK = Subject(
    chip="speck2f",
    deploy=deploy,
    network=maps,
    spikes=lambda: counts(2, 8, 8),
    limits={
        "input_size": Limit(
            at=lambda: maps(1, 128, 16, 8), past=lambda: maps(1, 129, 16, 8), need=129, limit=128
        ),
        "kernel_size": Limit(
            at=lambda: maps(1, 20, 16), past=lambda: maps(1, 21, 17), need=17, limit=16
        ),
        "comparison": Limit(at=maps, past=lambda: maps(compare="gt")),
    },
    faulty=lambda: maps(1, 130, 17, 7, compare="gt"),
    faults=("input_size", "kernel_size", "stride", "comparison"),
    twin=lambda program, spikes: flat_outputs(program, simulate_densely(program, spikes).outputs),
    events=events,
)


@parametrize_with_checks(XYLO, SPECK)
def test_a_built_in_family_keeps_the_contract(check):
    check()


def test_the_kit_holds_every_check_that_it_defines():
    assert len(CHECKS) > 25
    assert all(check.__doc__ for check in CHECKS)

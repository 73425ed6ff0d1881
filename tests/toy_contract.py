"""The conformance kit on the toy family, where its package is installed; see ``test_plugin.py``."""

from itertools import pairwise

import numpy as np

from toolchain import deploy
from toolchain.chips.conformance import Limit, Subject, parametrize_with_checks
from toolchain.ir import Graph, Input, Linear, Neuron, Output


def dense(*sizes, **neuron):
    rng = np.random.default_rng(0)
    nodes = {"microphone": Input(shape=sizes[:1])}
    for k, (pre, post) in enumerate(pairwise(sizes)):
        nodes[f"w{k}"] = Linear(weight=rng.normal(0.1, 0.4, (post, pre)))
        nodes[f"layer{k}"] = Neuron(shape=(post,), v_threshold=1.0, **neuron)
    return Graph.chain({**nodes, "answer": Output()}, dt=1e-3)


def slow(program, spikes):
    """The outputs, neuron by neuron in plain Python."""
    out = []
    for sample in spikes.tolist():
        states = [[0] * len(layer.weight) for layer in program.layers]
        steps = []
        for counts in sample:
            for layer, v in zip(program.layers, states, strict=True):
                fired = []
                for k, row in enumerate(layer.weight.tolist()):
                    drive = sum(w * n for w, n in zip(row, counts, strict=True))
                    v[k] = max(-(2**15), min(2**15 - 1, v[k] + drive))
                    fired.append(max(v[k], 0) // layer.threshold)
                    v[k] -= fired[-1] * layer.threshold
                counts = fired  # the next layer's input
            steps.append(counts)
        out.append(steps)
    return np.array(out)


TOY = Subject(
    chip="toy_chip",
    deploy=deploy,
    network=lambda: dense(6, 9, 4),
    spikes=lambda: np.random.default_rng(1).poisson(0.3, (3, 12, 6)),
    limits={
        "input_channels": Limit(
            at=lambda: dense(24, 4), past=lambda: dense(25, 4), need=25, limit=24
        ),
        "neurons": Limit(
            at=lambda: dense(4, 30, 10), past=lambda: dense(4, 30, 11), need=41, limit=40
        ),
        "comparison": Limit(at=lambda: dense(4, 4), past=lambda: dense(4, 4, compare="gt")),
    },
    faulty=lambda: dense(25, 41, compare="gt"),
    faults=("input_channels", "neurons", "comparison"),
    twin=slow,
)


@parametrize_with_checks(TOY)
def test_the_toy_family_keeps_the_contract(check):
    check()

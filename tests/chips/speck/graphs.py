"""Graphs for the tests of the Speck room."""

import numpy as np

from toolchain.ir import Add, Conv2d, Graph, Input, Neuron, Output, SumPool2d


def iaf(shape, **changes):
    """Neurons that Speck computes as they are."""
    return Neuron(**{"shape": shape, "v_threshold": 1.0, "v_min": -1.0, **changes})


def conv(outputs, inputs, kernel=1, rng=None, **changes):
    """A convolution of square kernels, ones or random."""
    shape = (outputs, inputs, kernel, kernel)
    weight = np.ones(shape) if rng is None else rng.normal(0.2, 1, shape)
    return Conv2d(**{"weight": weight, **changes})


def one(neuron=None, weight=None, shape=(1, 4, 4), dt=1e-3):
    """input -> conv -> spk -> output."""
    weight = weight or conv(1, shape[0])
    nodes = {"input": Input(shape=shape), "conv": weight}
    nodes["spk"] = iaf(weight.output_shape(shape), **neuron or {})
    return Graph.chain({**nodes, "output": Output()}, dt=dt)


def branching(rng, *, size=8, dt=1e-3, biases=False):
    """A random network: cores that read the input or one or more others, these pooled or not.

    Layers are called ``spk0`` and on, each behind its ``conv``; maps are square.
    """
    nodes, edges = {"input": Input(shape=(int(rng.integers(1, 3)), size, size))}, []
    shapes = {"input": nodes["input"].shape}
    for index in range(int(rng.integers(1, 5))):
        sent = {}
        for name, (channels, side, _) in shapes.items():
            for pooling in (1,) if name == "input" else (1, 2, 4):
                if side // pooling >= 1:
                    sent.setdefault((channels, side // pooling), []).append((name, pooling))
        keys = sorted(sent)
        shape = keys[int(rng.integers(len(keys)))]
        pick = sent[shape]
        chosen = dict(pick[i] for i in rng.permutation(len(pick))[: int(rng.integers(1, 3))])
        into = []
        for name, pooling in chosen.items():
            into.append(name)
            if pooling > 1:
                into[-1] = f"pool{index}_{name}"
                nodes[into[-1]] = SumPool2d(kernel=pooling, stride=pooling)
                edges.append((name, into[-1]))
        first = into[0]
        if len(into) > 1:
            first = f"sum{index}"
            nodes[first] = Add()
            edges += [(name, first) for name in into]
        channels, side = shape
        kernel = int(rng.integers(1, min(4, side + 1)))
        outputs = int(rng.integers(1, 4))
        weight = conv(
            outputs,
            channels,
            kernel,
            rng,
            stride=[int(s) for s in rng.integers(1, 3, 2)],
            padding=[int(p) for p in rng.integers(0, kernel, 2)],
            bias=rng.normal(0, 0.3, outputs) if biases else None,
        )
        shape_out = weight.output_shape((channels, side, side))
        nodes[f"conv{index}"] = weight
        nodes[f"spk{index}"] = iaf(shape_out, v_min=-float(rng.uniform(0.5, 3)))
        edges += [(first, f"conv{index}"), (f"conv{index}", f"spk{index}")]
        if shape_out[1] == shape_out[2]:
            shapes[f"spk{index}"] = shape_out
    last = [name for name in nodes if name.startswith("spk")][-1]
    return Graph(nodes | {"output": Output()}, [*edges, (last, "output")], dt=dt)

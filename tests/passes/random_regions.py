"""Random networks of linear layers between spiking ones, and what torch computes for them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional

from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    MembraneReadout,
    Neuron,
    Output,
    Pad,
    Permute,
    Reshape,
    Scale,
    SumPool2d,
)
from toolchain.runs.interpret import interpret

STEPS = 6


@dataclass
class Value:
    """A signal: its node, and the numbers that torch has for it, (steps, *features)."""

    node: str
    numbers: torch.Tensor

    @property
    def shape(self):
        return tuple(self.numbers.shape[1:])


@dataclass
class Builder:
    """A network while it grows; with ``whole`` all its numbers are small integers."""

    rng: np.random.Generator
    whole: bool
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    used: dict = field(default_factory=dict)

    def draw(self, *shape):
        if self.whole:
            return self.rng.integers(-2, 3, shape).astype(float)
        return self.rng.normal(0, 1, shape)

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def bias(self, size):
        return self.draw(size) if self.rng.random() < 0.5 else None

    def add(self, operations, node, numbers, *inputs):
        """Add a node that stands for these operations, named with commas between them."""
        name = f"n{len(self.nodes)}"
        self.nodes[name] = node
        self.edges += [Edge(value.node, name) for value in inputs]
        self.used[name] = [one for one in operations.split(", ") if one]
        return Value(name, numbers)


def tensor(array):
    return None if array is None else torch.as_tensor(array)


# ---- operations: each returns the new value, or None where it does not fit ----


def grouped(b, x):
    return convolution(b, x, x.shape[0]) if x.shape[0] > 1 else None


def convolution(b, x, groups=1):
    if len(x.shape) != 3:
        return None
    kernel, dilation = (b.number(1, 3), b.number(1, 3)), b.number(1, 2)
    how = {"stride": b.number(1, 2), "padding": b.number(0, 2), "dilation": dilation}
    if any(
        n + 2 * how["padding"] < dilation * (k - 1) + 1
        for n, k in zip(x.shape[1:], kernel, strict=True)
    ):
        return None
    outputs = groups * b.number(1, 2)
    weight = b.draw(outputs, x.shape[0] // groups, *kernel)
    bias = b.bias(outputs)
    node = Conv2d(weight=weight, bias=bias, groups=groups, **how)
    numbers = functional.conv2d(x.numbers, tensor(weight), tensor(bias), groups=groups, **how)
    marks = "convolution" + ", grouped" * (groups > 1) + ", strided" * (how["stride"] > 1)
    return b.add(marks + ", dilated" * (dilation > 1 and max(kernel) > 1), node, numbers, x)


def along_one_axis(b, x):
    if len(x.shape) != 2:
        return None
    transposed = b.rng.random() < 0.4
    how = {"stride": b.number(1, 2), "padding": b.number(0, 1), "dilation": b.number(1, 2)}
    kernel, outputs = b.number(1, 3), b.number(1, 3)
    span = how["dilation"] * (kernel - 1) + 1
    bias = b.bias(outputs)
    if transposed:
        if (x.shape[1] - 1) * how["stride"] + span - 2 * how["padding"] < 1:
            return None
        weight = b.draw(x.shape[0], outputs, kernel)
        node = ConvTranspose1d(weight=weight, bias=bias, **how)
        numbers = functional.conv_transpose1d(x.numbers, tensor(weight), tensor(bias), **how)
        return b.add("transposed", node, numbers, x)
    if x.shape[1] + 2 * how["padding"] < span:
        return None
    weight = b.draw(outputs, x.shape[0], kernel)
    node = Conv1d(weight=weight, bias=bias, **how)
    numbers = functional.conv1d(x.numbers, tensor(weight), tensor(bias), **how)
    return b.add("convolution of one axis", node, numbers, x)


def transposed(b, x):
    if len(x.shape) != 3 or max(x.shape[1:]) > 12:
        return None
    groups = x.shape[0] if b.rng.random() < 0.3 else 1
    stride = b.number(1, 2)
    how = {"stride": stride, "padding": b.number(0, 1), "groups": groups}
    how["output_padding"] = b.number(0, stride - 1)
    kernel, each = (b.number(2, 3), b.number(2, 3)), b.number(1, 2)
    weight, bias = b.draw(x.shape[0], each, *kernel), b.bias(groups * each)
    node = ConvTranspose2d(weight=weight, bias=bias, **how)
    try:
        node.output_shape(x.shape)
    except ValueError:
        return None
    numbers = functional.conv_transpose2d(x.numbers, tensor(weight), tensor(bias), **how)
    return b.add("transposed", node, numbers, x)


def dense(b, x):
    if len(x.shape) != 1:
        return None
    outputs = b.number(1, 6)
    weight, bias = b.draw(outputs, x.shape[0]), b.bias(outputs)
    numbers = functional.linear(x.numbers, tensor(weight), tensor(bias))
    return b.add("dense", Linear(weight=weight, bias=bias), numbers, x)


def parallel(b, x):
    """Two weights of one source, added up."""
    if len(x.shape) != 1:
        return None
    outputs = b.number(1, 6)
    parts = []
    for _ in range(2):
        weight = b.draw(outputs, x.shape[0])
        part = functional.linear(x.numbers, tensor(weight))
        parts.append(b.add("dense", Linear(weight=weight), part, x))
    return b.add("parallel weights", Add(), parts[0].numbers + parts[1].numbers, *parts)


def batch_norm(b, x):
    channels = x.shape[0]
    gamma, beta, mean = (b.draw(channels) for _ in range(3))
    var, eps = (np.ones(channels), 0.0) if b.whole else (b.rng.uniform(0.1, 2, channels), 1e-5)
    node = BatchNorm(mean=mean, var=var, gamma=gamma, beta=beta, eps=eps)
    fields = (tensor(one) for one in (mean, var, gamma, beta))
    numbers = functional.batch_norm(x.numbers, *fields, eps=eps)
    return b.add("batch norm", node, numbers, x)


def factor(b, x):
    kinds = [(), x.shape, (*x.shape[:1], *(1,) * (len(x.shape) - 1))]
    scale = b.draw(*kinds[b.number(0, 5) % 5 % 3])
    return b.add("factor", Scale(scale=scale), x.numbers * tensor(scale), x)


def pool(b, x):
    if len(x.shape) != 3:
        return None
    side = (b.number(1, 3), b.number(1, 3)) if b.rng.random() < 0.3 else (b.number(1, 2),) * 2
    if any(k > n for k, n in zip(side, x.shape[1:], strict=True)):
        return None
    stride = side if b.rng.random() < 0.6 else (b.number(1, 3), b.number(1, 3))
    mean = b.rng.random() < 0.5 and (not b.whole or side in ((1, 1), (2, 2), (1, 2), (2, 1)))
    node = (AvgPool2d if mean else SumPool2d)(kernel=side, stride=stride)
    numbers = functional.avg_pool2d(x.numbers, side, stride) * (1 if mean else np.prod(side))
    if not mean:
        numbers = numbers.round() if b.whole else numbers
    marks = "average pool" if mean else "sum pool"
    marks += ", pool of 1" * (side == (1, 1)) + ", overlapping pool" * (stride != side)
    return b.add(marks, node, numbers, x)


def pad(b, x):
    before, after = ([b.number(-1, 2) for _ in x.shape] for _ in range(2))
    if b.rng.random() < 0.5:  # no channels
        before[0] = after[0] = 0
    kept = [n + min(p, 0) + min(q, 0) for n, p, q in zip(x.shape, before, after, strict=True)]
    if min(kept) < 1 or max(x.shape) > 30:
        return None
    ends = [end for pair in zip(reversed(before), reversed(after), strict=True) for end in pair]
    numbers = functional.pad(x.numbers, ends)
    marks = "zero padding" + ", crop" * (min(before + after) < 0)
    return b.add(marks, Pad(before=tuple(before), after=tuple(after)), numbers, x)


def padded_pool(b, x):
    """An average with padding that counts the zeros."""
    if len(x.shape) != 3:
        return None
    padded = b.add("", Pad(before=(0, 1, 1), after=(0, 1, 1)), None, x)
    node = AvgPool2d(kernel=(2, 2), stride=(2, 2))
    numbers = functional.avg_pool2d(x.numbers, 2, 2, padding=1)
    return b.add("padded pool", node, numbers, padded)


def flatten(b, x):
    return b.add("flatten", Flatten(), x.numbers.flatten(1), x)


def reshape(b, x):
    size = int(np.prod(x.shape))
    sides = [n for n in range(1, 13) if size % n == 0]
    one = int(b.rng.choice(sides))
    two = int(b.rng.choice([n for n in sides if size // one % n == 0]))
    shape = [(one, size // one), (one, two, size // one // two)][b.number(0, 1)]
    return b.add("reshape", Reshape(shape=shape), x.numbers.reshape(-1, *shape), x)


def squeeze(b, x):
    """Remove axes of length 1, or add one."""
    shape = tuple(n for n in x.shape if n > 1) or (1,)
    if shape == x.shape:
        shape = (*shape, 1)
    if len(shape) > 3:
        return None
    return b.add("squeeze", Reshape(shape=shape), x.numbers.reshape(-1, *shape), x)


def permute(b, x):
    axes = tuple(int(axis) for axis in b.rng.permutation(len(x.shape)))
    numbers = x.numbers.permute(0, *(axis + 1 for axis in axes))
    return b.add("permute", Permute(axes=axes), numbers, x)


def drop(b, x):
    return b.add("dropout", Identity(was="Dropout"), x.numbers, x)


ONE = (
    convolution,
    grouped,
    along_one_axis,
    along_one_axis,
    transposed,
    dense,
    parallel,
    batch_norm,
    factor,
)
ONE += (pool, pool, pad, padded_pool, flatten, reshape, squeeze, permute, drop)


AXES = dict.fromkeys((convolution, grouped, transposed, pool, padded_pool), 3)
AXES |= {along_one_axis: 2, dense: 1, parallel: 1}
"""The axes of the features that an operation takes."""


def added(b, x, y):
    if x.shape != y.shape or x.node == y.node:
        return None
    return b.add("sum of branches", Add(), x.numbers + y.numbers, x, y)


def concatenated(b, x, y):
    if x.shape[1:] != y.shape[1:] or x.node == y.node:
        return None
    zeros, parts = (0,) * (len(x.shape) - 1), []
    for value, before, after in ((x, 0, y.shape[0]), (y, x.shape[0], 0)):
        node = Pad(before=(before, *zeros), after=(after, *zeros))
        parts.append(b.add("", node, None, value))
    return b.add("concatenation", Add(), torch.cat([x.numbers, y.numbers], 1), *parts)


TWO = (added, added, concatenated)


@dataclass
class Case:
    """A network, and what drives its last layer by torch, (steps, *features)."""

    graph: Graph
    raster: np.ndarray
    drive: np.ndarray
    used: set


def random_region(seed, *, whole):
    """Return a network of one to two layers whose spikes a random region reads."""
    rng = np.random.default_rng([seed, int(whole)])
    b = Builder(rng, whole)
    shape = (b.number(1, 3), b.number(3, 8), b.number(3, 8))
    axes = AXES.get(ONE[seed % len(ONE)], (3, 3, 2, 1)[b.number(0, 3)])
    shape = (shape if axes > 1 else (b.number(3, 8),))[:axes]
    b.nodes["input"] = Input(shape=shape)
    raster = rng.integers(0, 3, (1, STEPS, *shape))
    values = _sources(b, shape, raster)
    for index in range(b.number(1, 6)):
        # the first operation goes through all of them in turn, from seed to seed
        made = ONE[seed % len(ONE)](b, values[-1]) if not index else None
        if made is None and len(values) > 1 and rng.random() < 0.35:
            x, y = (values[b.number(0, len(values) - 1)] for _ in range(2))
            made = TWO[b.number(0, len(TWO) - 1)](b, x, y)
        if made is None:
            x = values[-1] if rng.random() < 0.7 else values[b.number(0, len(values) - 1)]
            made = ONE[b.number(0, len(ONE) - 1)](b, x)
        if made is not None and made.numbers[0].numel() <= 400:
            values.append(made)
    return _ended(b, values, raster)


def _sources(b, shape, raster):
    """The layers that the region reads: the input, or one or two layers of neurons."""
    if b.rng.random() < 0.3:
        return [Value("input", torch.as_tensor(raster[0]).double())]
    names = []
    for index in range(b.number(1, 2)):
        graded = b.rng.random() < 0.3
        each = {"spike_scale": float(b.rng.choice([0.5, 2.0, 3.0]))} if graded else {}
        node = Neuron(shape=shape, v_threshold=float(b.number(1, 2)), **each)
        weight = Scale(scale=float(b.number(1, 2)))
        b.nodes |= {f"w{index}": weight, f"s{index}": node}
        b.edges += [Edge("input", f"w{index}"), Edge(f"w{index}", f"s{index}")]
        b.used[f"s{index}"] = ["graded spikes"] * graded
        names.append(f"s{index}")
    nodes = {**b.nodes, **{f"o{name}": Output() for name in names}}
    edges = [*b.edges, *(Edge(name, f"o{name}") for name in names)]
    layers = interpret(Graph(nodes, edges), raster, record=True).layers
    return [Value(name, torch.as_tensor(layers[name].spikes[0])) for name in names]


def _ended(b, values, raster):
    """The network with a layer behind the last value; without what leads nowhere."""
    end = values[-1]
    needed, waiting = {end.node, "input"}, [end.node]
    while waiting:
        name = waiting.pop()
        before = [edge.pre for edge in b.edges if edge.post == name]
        waiting += [one for one in before if one not in needed]
        needed |= {*before}
    nodes = {name: node for name, node in b.nodes.items() if name in needed}
    edges = [edge for edge in b.edges if edge.post in needed]
    shape = end.shape
    if b.whole:
        last = Neuron(shape=shape, v_threshold=3.0, v_min=-4.0)
    else:
        last = MembraneReadout(shape=shape, alpha_mem=0.0)
    nodes |= {"end": last, "output": Output()}
    graph = Graph(nodes, [*edges, Edge(end.node, "end"), Edge("end", "output")], dt=1e-3)
    used = {one for name in nodes for one in b.used.get(name, ())}
    return Case(graph, raster, end.numbers.numpy(), used)

"""Random networks of integers with everything that a Speck core can do, for tests of training."""

from dataclasses import replace

import numpy as np

from toolchain import load_chip
from toolchain.chips.speck.family import Speck
from toolchain.ir import Add, Conv2d, Graph, Input, Neuron, Output, Pad, Sensor, SumPool2d

CHIP = load_chip("speck2f")


def on_chip(graph, **options):
    """The program of a graph of integers, not placed."""
    family = Speck.on(CHIP)
    return family.lower(graph, family.OPTIONS(**options))


def random_network(rng):
    """A graph of integers: one to four cores, each with one source, a sum or a concatenation."""
    nodes = {"input": Input(shape=(int(rng.integers(1, 3)), 9, 8))}
    edges, shapes, entry = [], {}, "input"
    if rng.random() < 0.3:
        entry = "sensor"
        nodes[entry] = sensor(rng)
        edges.append(("input", entry))
    shapes[entry] = (
        nodes[entry].output_shape(nodes["input"].shape) if edges else nodes["input"].shape
    )
    for index in range(int(rng.integers(1, 5))):
        first, shape = joined(rng, index, nodes, edges, shapes)
        nodes[f"conv{index}"] = weight = convolution(rng, shape)
        nodes[f"spk{index}"] = neurons(rng, weight.output_shape(shape))
        edges += [(first, f"conv{index}"), (f"conv{index}", f"spk{index}")]
        shapes[f"spk{index}"] = nodes[f"spk{index}"].shape
    layers = [name for name in nodes if name.startswith("spk")]
    ends = {layers[-1], *(name for name in layers if rng.random() < 0.3)}
    ends |= {name for name in layers if name not in {pre for pre, _ in edges}}
    for number, name in enumerate(name for name in layers if name in ends):
        nodes[f"output{number}"] = Output()
        edges.append((name, f"output{number}"))
    return Graph(nodes, edges, dt=1e-3)


def sensor(rng):
    """A camera that merges, pools, crops, mirrors and swaps."""
    merge, flip_y, flip_x, swap = (bool(b) for b in rng.integers(0, 2, 4))
    pool = (int(rng.integers(1, 3)), 1)
    return Sensor(
        merge=merge,
        pool=pool,
        origin=(1, 1),
        size=(4 if pool[0] == 1 else 3, 5),
        flip_y=flip_y,
        flip_x=flip_x,
        swap_xy=swap,
    )


def joined(rng, index, nodes, edges, shapes):
    """Draw the input of a core: one map, the sum of two, or both side by side; pooled or not."""
    options = {}
    for name, (channels, *sides) in shapes.items():
        for pooling in (1,) if not name.startswith("spk") else (1, 2):
            if min(sides) >= pooling:
                options.setdefault(tuple(s // pooling for s in sides), []).append(
                    (name, pooling, channels)
                )
    sides = list(options)[int(rng.integers(len(options)))]
    chosen = {}
    for at in rng.permutation(len(options[sides]))[:2]:
        name, pooling, channels = options[sides][at]
        chosen[name] = (pooling, channels)
    into = []
    for name, (pooling, channels) in chosen.items():
        into.append((name, channels))
        if pooling > 1:
            pool = f"pool{index}_{name}"
            nodes[pool] = SumPool2d(kernel=pooling, stride=pooling)
            edges.append((name, pool))
            into[-1] = (pool, channels)
    if len(into) == 1:
        return into[0][0], (into[0][1], *sides)
    total = sum(channels for _, channels in into)
    if into[0][1] != into[1][1] or rng.random() < 0.4:
        before = 0
        for at, (name, channels) in enumerate(into):
            pad = f"pad{index}_{name}"
            after = total - before - channels
            nodes[pad] = Pad(before=(before, 0, 0), after=(after, 0, 0))
            edges.append((name, pad))
            into[at], before = (pad, channels), before + channels
    else:
        total = into[0][1]
    nodes[f"sum{index}"] = Add()
    edges.extend((name, f"sum{index}") for name, _ in into)
    return f"sum{index}", (total, *sides)


def convolution(rng, shape):
    """A convolution with groups, dilation, any kernel, stride and padding."""
    channels, *sides = shape
    groups = channels if channels > 1 and rng.random() < 0.3 else 1
    outputs = groups * int(rng.integers(1, 4))
    kernel = [int(rng.integers(1, min(3, side) + 1)) for side in sides]
    dilation = [
        2 if k > 1 and 2 * k - 1 <= s and rng.random() < 0.3 else 1
        for k, s in zip(kernel, sides, strict=True)
    ]
    weight = rng.integers(-60, 100, (outputs, channels // groups, *kernel))
    return Conv2d(
        weight=weight,
        bias=rng.integers(-20, 30, outputs) if rng.random() < 0.5 else None,
        stride=[int(s) for s in rng.integers(1, 3, 2)],
        padding=[int(rng.integers(0, k)) for k in kernel],
        dilation=dilation,
        groups=groups,
    )


def neurons(rng, shape):
    """Neurons with any threshold, floor and reset; some start from other membranes."""
    return Neuron(
        shape=shape,
        v_threshold=np.array(int(rng.integers(30, 250))),
        reset="subtract" if rng.random() < 0.6 else "value",
        v_min=None if rng.random() < 0.3 else np.array(-int(rng.integers(1, 200))),
        v_init=rng.integers(-40, 40, shape) if rng.random() < 0.3 else np.array(0),
    )


def random_values(rng, parameters):
    """Integers anywhere in the range of each parameter that still let neurons fire."""
    found = {}
    for name, one in parameters.items():
        low, high = one.low, one.high
        if one.kind == "threshold":
            low, high = 20, 400
        if one.kind == "bias":
            low, high = -60, 60
        found[name] = rng.integers(low, high + 1, one.shape)
    return found


def with_values(graph, parameters, values):
    """The graph of these integers."""
    changed = {}
    for name, one in parameters.items():
        node = changed.get(one.node, graph[one.node])
        changed[one.node] = replace(node, **{one.field: values[name]})
    return graph.replace(changed)


def as_events(raster, dt=1000):
    """Event arrays of a raster (batch, time, channels, y, x), several in a step at its start."""
    found = []
    for sample in raster:
        step, channel, y, x = np.nonzero(sample)
        repeat = sample[step, channel, y, x]
        events = np.zeros(
            int(repeat.sum()), [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")]
        )
        for name, values in (("x", x), ("y", y), ("t", step * dt), ("p", channel)):
            events[name] = np.repeat(values, repeat)
        found.append(events)
    return found

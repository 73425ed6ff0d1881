"""Random networks with everything that a Speck program has: see ``branched``."""

from dataclasses import replace

import numpy as np

from tests.chips.speck.graphs import conv, iaf
from toolchain.ir import (
    Add,
    AvgPool2d,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Output,
    SumPool2d,
)
from toolchain.ir.graph import Edge

POOLS = {1: [], 2: [2], 4: [2, 2], "4": [4]}


class Builder:
    """A graph while it grows; ``maps`` are the layers that can be read, with their shapes."""

    def __init__(self, rng, shape):
        self.rng = rng
        self.nodes, self.edges = {"input": Input(shape=shape)}, []
        self.maps = {"input": shape}

    def add(self, name, node, *sources):
        self.nodes[name] = node
        self.edges += [Edge(source, name) for source in sources]
        return name

    def pooled(self, source, sides, kind=SumPool2d):
        """The name of ``source`` behind pools of these sides."""
        for side in sides:
            name = f"{source}_{side}{kind.__name__[0]}"
            while name in self.nodes:
                name += "x"
            source = self.add(name, kind(kernel=(side, side), stride=(side, side)), source)
        return source

    def merged(self):
        """Some layers of one shape, pooled each in its way and added up: (name, shape)."""
        found = {}
        for name, (channels, *sides) in self.maps.items():
            for pool in POOLS.values():
                side = int(np.prod(pool, dtype=int))
                if min(sides) >= side and (name != "input" or side == 1):
                    shape = (channels, *(s // side for s in sides))
                    found.setdefault(shape, []).append((name, pool))
        shape = sorted(found)[int(self.rng.integers(len(found)))]
        several = sorted(s for s in found if len({name for name, _ in found[s]}) > 1)
        if several and self.rng.random() < 0.6:
            shape = several[int(self.rng.integers(len(several)))]
        options = found[shape]
        chosen = dict(options[i] for i in self.rng.permutation(len(options))[:3])
        into = [self.pooled(name, pool) for name, pool in chosen.items()]
        if len(into) == 1:
            return into[0], shape
        return self.add(f"sum{len(self.nodes)}", Add(), *into), shape

    def neurons(self, shape):
        rng = self.rng
        fields = {"v_min": None if rng.random() < 0.2 else -float(rng.uniform(0.5, 3))}
        if rng.random() < 0.4:
            low = -0.4 if fields["v_min"] is not None else -2.0
            fields["v_init"] = rng.uniform(low, 0.9, shape)
        if rng.random() < 0.4:
            fields["reset"] = str(rng.choice(["value", "additive"]))
        return iaf(shape, **fields)

    def layer(self, index):
        rng = self.rng
        source, shape = self.merged()
        sides = min(shape[1:]) if shape != self.maps["input"] else 0  # nothing pools the input
        if sides >= 2 and rng.random() < 0.4:  # an average of what was added up
            source = self.pooled(source, [2], AvgPool2d)
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
        kernel, outputs = int(rng.integers(1, min(3, *shape[1:]) + 1)), int(rng.integers(1, 4))
        node = conv(
            outputs,
            shape[0],
            kernel,
            rng,
            stride=[int(s) for s in rng.integers(1, 3, 2)] if rng.random() < 0.3 else 1,
            padding=[int(p) for p in rng.integers(0, kernel, 2)],
            bias=rng.normal(0, 0.3, outputs) if rng.random() < 0.5 else None,
        )
        node = replace(node, weight=node.weight * 1.5 / np.sqrt(shape[0] * kernel**2))
        shape_out = node.output_shape(shape)
        weight = self.add(f"conv{index}", node, source)
        self.maps[self.add(f"spk{index}", self.neurons(shape_out), weight)] = shape_out

    def head(self):
        """Dense layers behind the last map."""
        name, shape = [*self.maps.items()][-1]
        if min(shape[1:]) >= 2 and self.rng.random() < 0.5:
            name = self.pooled(name, [2], self.rng.choice([SumPool2d, AvgPool2d]))
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
        name, inputs = self.add("flatten", Flatten(), name), int(np.prod(shape))
        for index, outputs in enumerate(self.rng.integers(2, 6, int(self.rng.integers(1, 3)))):
            weight = self.rng.normal(0.1, 1.5 / np.sqrt(inputs), (int(outputs), inputs))
            name = self.add(f"fc{index}", Linear(weight=weight), name)
            name, inputs = (
                self.add(f"out{index}", self.neurons((int(outputs),)), name),
                int(outputs),
            )
        return name


def branched(seed):
    """A network of branches that meet again, on maps that are seldom square.

    Layers feed several others, each pooled in its own way by one pool or a chain of them; what is
    added up may be averaged; dense layers follow; several layers are outputs. Neurons start
    anywhere, have a floor or none, and reset in each way.
    """
    rng = np.random.default_rng([seed, 5])
    shape = (int(rng.integers(1, 3)), int(rng.integers(6, 13)), int(rng.integers(6, 13)))
    builder = Builder(rng, shape)
    for index in range(int(rng.integers(2, 5))):
        builder.layer(index)
    last = [name for name in builder.nodes if name.startswith("spk")][-1]
    ends = {builder.head() if rng.random() < 0.6 else last}
    spiking = [name for name, node in builder.nodes.items() if isinstance(node, Neuron)]
    fed = {edge.pre for edge in builder.edges}
    ends |= {name for name in spiking if name not in fed}
    if rng.random() < 0.4:
        ends.add(spiking[int(rng.integers(len(spiking)))])
    for number, name in enumerate(sorted(ends)):
        builder.add(f"output{number}", Output(), name)
    return Graph(builder.nodes, builder.edges, dt=1e-3)

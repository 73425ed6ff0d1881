"""Random Xylo networks that leave no corner out: rails, multi-spikes, aliases, shifts, dash 0.

Needs numpy alone, so that the oracle's environment can make the same ones.
"""

import numpy as np


def random_network(rng, core, most_hidden=39):
    """A network of plain arrays, as the oracle takes it, with 2 .. ``most_hidden`` neurons."""
    inputs, outputs = (int(n) for n in rng.integers(1, 9, 2))
    hidden = int(rng.integers(2, most_hidden + 1))
    synapses = int(rng.integers(1, 3))
    density = rng.choice([0.1, 0.5, 1.0])

    def weights(*shape):
        dense = rng.integers(-128, 128, shape)
        bound = int(rng.choice([5, 40, 128]))
        return (dense % (2 * bound) - bound) * (rng.random(shape) < density)

    top = int(rng.choice([300, 5000, 32767]))
    threshold = rng.integers(1, top, hidden)
    if rng.random() < 0.1:
        threshold[0] = rng.choice([0, -1, -5000, -32768])
    net = {
        "weights_in": weights(inputs, hidden, synapses),
        "weights_rec": weights(hidden, hidden, synapses),
        "weights_out": weights(hidden, outputs),
        "dash_mem": rng.integers(0, 16, hidden),
        "dash_syn": rng.integers(0, 16, hidden),
        "dash_syn_2": rng.integers(0, 16, hidden),
        "dash_mem_out": rng.integers(0, 16, outputs),
        "dash_syn_out": rng.integers(0, 16, outputs),
        "threshold": threshold,
        "threshold_out": rng.integers(-3 if rng.random() < 0.1 else 1, top, outputs),
        "bias": np.zeros(hidden, int),
        "bias_out": np.zeros(outputs, int),
        "aliases": [[] for _ in range(hidden)],
    }
    for name in ("weight_shift_in", "weight_shift_rec", "weight_shift_out"):
        net[name] = int(rng.choice([0, 0, 1, 3, 7, 8]))
    if core == "v2" and rng.random() < 0.5:
        bound = int(rng.choice([3, 300, 30000]))
        net["bias"] = rng.integers(-bound, bound, hidden) * (rng.random(hidden) < 0.5)
        net["bias_out"] = rng.integers(-bound, bound, outputs) * (rng.random(outputs) < 0.5)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, hidden))):
            source, target = rng.integers(0, hidden, 2)
            net["aliases"][source].append(int(target))
    return net


def random_raster(rng, net, steps):
    """Counts ``(steps, inputs)`` up to 15, silent for a while in the middle."""
    shape = (steps, net["weights_in"].shape[0])
    raster = rng.integers(1, int(rng.choice([2, 16])), shape) * (rng.random(shape) < 0.3)
    raster[steps // 3 : steps // 2] = 0
    return raster

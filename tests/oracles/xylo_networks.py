"""Xylo networks that leave no corner out: drawn at random, and some made by hand for rare corners.

A case is a network of plain arrays, a raster, and the calls in which the raster is given. Needs
numpy alone, so that the oracle's environment can make the same ones.
"""

from itertools import pairwise

import numpy as np

RAIL_THRESHOLDS = (1, 32767, 0, -1, -5000, -32768)
SHIFTS = (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15)


def random_network(rng, core, most_hidden=39, least_hidden=1, densities=(0.1, 0.5, 1.0)):
    """A network of plain arrays, as the oracle takes it; hidden neurons within the bounds."""
    inputs, outputs = (int(n) for n in rng.integers(1, (17, 9)))
    hidden = int(rng.integers(least_hidden, most_hidden + 1))
    synapses = int(rng.integers(1, 3))
    density = rng.choice(densities)

    def weights(*shape):
        dense = rng.integers(-128, 128, shape)
        bound = int(rng.choice([5, 40, 128]))
        return (dense % (2 * bound) - bound) * (rng.random(shape) < density)

    top = int(rng.choice([300, 5000, 32768]))
    net = blank(inputs, hidden, outputs, synapses) | {
        "weights_in": weights(inputs, hidden, synapses),
        "weights_rec": weights(hidden, hidden, synapses),
        "weights_out": weights(hidden, outputs),
        "dash_mem": rng.integers(0, 16, hidden),
        "dash_syn": rng.integers(0, 16, hidden),
        "dash_syn_2": rng.integers(0, 16, hidden),
        "dash_mem_out": rng.integers(0, 16, outputs),
        "dash_syn_out": rng.integers(0, 16, outputs),
        "threshold": rng.integers(1, top, hidden),
        "threshold_out": rng.integers(1, top, outputs),
    }
    for name in ("threshold", "threshold_out"):
        if rng.random() < 0.15:
            net[name][rng.integers(net[name].size)] = rng.choice(RAIL_THRESHOLDS)
    for name in ("weight_shift_in", "weight_shift_rec", "weight_shift_out"):
        net[name] = int(rng.choice(SHIFTS))
    if core == "v2" and rng.random() < 0.5:
        bound = int(rng.choice([3, 300, 30000]))
        net["bias"] = rng.integers(-bound, bound, hidden) * (rng.random(hidden) < 0.5)
        net["bias_out"] = rng.integers(-bound, bound, outputs) * (rng.random(outputs) < 0.5)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, max(2, min(hidden, 64))))):
            source, target = rng.integers(0, hidden, 2)
            net["aliases"][source].append(int(target))
    return net


def random_raster(rng, net, steps):
    """Counts ``(steps, inputs)`` up to 15, silent for a while in the middle."""
    shape = (steps, net["weights_in"].shape[0])
    raster = rng.integers(1, int(rng.choice([2, 16])), shape) * (rng.random(shape) < 0.3)
    raster[steps // 3 : steps // 2] = 0
    return raster


def random_calls(rng, steps):
    """The raster in one to three calls: ``(first step, last step + 1, whether reset before)``."""
    cuts = np.unique(rng.integers(1, steps, int(rng.integers(0, 3)))) if steps > 1 else []
    edges = [0, *(int(cut) for cut in cuts), steps]
    return [(a, b, bool(a == 0 or rng.random() < 0.4)) for a, b in pairwise(edges)]


def random_case(rng, core, steps, **sizes):
    """Network, raster and calls."""
    net = random_network(rng, core, **sizes)
    return net, random_raster(rng, net, steps), random_calls(rng, steps)


# -- made by hand -------------------------------------------------------------------------------


def blank(inputs, hidden, outputs, synapses=1):
    """A network without a connection, whose states decay slowly and that hardly ever fires."""
    return {
        "weights_in": np.zeros((inputs, hidden, synapses), int),
        "weights_rec": np.zeros((hidden, hidden, synapses), int),
        "weights_out": np.zeros((hidden, outputs), int),
        "dash_mem": np.full(hidden, 15),
        "dash_syn": np.full(hidden, 1),
        "dash_syn_2": np.full(hidden, 1),
        "dash_mem_out": np.full(outputs, 15),
        "dash_syn_out": np.full(outputs, 1),
        "threshold": np.full(hidden, 32767),
        "threshold_out": np.full(outputs, 32767),
        "bias": np.zeros(hidden, int),
        "bias_out": np.zeros(outputs, int),
        "weight_shift_in": 0,
        "weight_shift_rec": 0,
        "weight_shift_out": 0,
        "aliases": [[] for _ in range(hidden)],
    }


def bursts(steps, channels, every=7, count=15):
    """``count`` spikes on all channels every so many steps, silence between."""
    raster = np.zeros((steps, channels), int)
    raster[1::every] = count
    return raster


def order_at_the_rails(core):
    """Weights of both signs, so large that each source alone reaches a rail."""
    net = blank(3, 4, 2)
    signs = np.array([127, -128, 127])
    for pre, weight in enumerate(signs):
        net["weights_in"][pre, :, 0] = [weight, -weight - 1, 127, 127]
        net["weights_rec"][pre, :, 0] = [-weight - 1, weight, 0, 0]
        net["weights_out"][pre] = [weight, -weight - 1]
    net["threshold"][:] = [300, 300, 500, 700]
    net["dash_syn"][:] = [15, 15, 2, 1]
    net["weight_shift_in"] = net["weight_shift_rec"] = net["weight_shift_out"] = 7
    return net, bursts(24, 3), [(0, 24, True)]


def membranes_at_the_rails(core):
    """Two full currents a membrane, up and down in turn; outputs alike."""
    net = blank(2, 4, 2, synapses=2)
    net["weights_in"][0] = [[127, 127], [-128, -128], [127, -128], [127, 127]]
    net["weights_in"][1] = [[-128, -128], [127, 127], [-128, 127], [0, 0]]
    net["weights_out"][:] = [[127, -128], [-128, 127], [0, 0], [127, -128]]
    net["threshold"][:] = [32767, 32767, 32767, 20]
    net["weight_shift_in"] = net["weight_shift_out"] = 8
    if core == "v2":
        net["bias"][:] = [32000, -32000, 0, 0]
        net["bias_out"][:] = [32000, -32000]
    raster = np.zeros((30, 2), int)
    raster[1:8, 0] = 15
    raster[12:20, 1] = 15
    raster[22:, 0] = 2
    return net, raster, [(0, 9, True), (9, 30, False)]


def every_dash(core):
    """Sixteen decays of each state from above and from below, down to rest."""
    net = blank(2, 65, 64)
    ladder = np.tile(np.arange(16), 2)
    net["dash_mem"][:32] = net["dash_syn"][32:64] = ladder
    net["dash_mem_out"][:32] = net["dash_syn_out"][32:] = ladder
    drive = np.tile(np.repeat([100, -100], 16), 2)
    net["weights_in"][0, :64, 0] = drive
    net["weights_in"][1, 64, 0] = 127
    net["weights_out"][64] = drive
    net["threshold"][64] = 60
    raster = np.zeros((40, 2), int)
    raster[[1, 2], 0] = 3
    raster[1, 1] = 1
    return net, raster, [(0, 40, True)]


def the_lowest_membrane(core):
    """-32768 with dash 0: core v2 wraps there and stays, core v1 clears it."""
    net = blank(2, 3, 2, synapses=2)
    net["weights_in"][0] = [[-128, -128], [-128, -128], [127, 0]]
    net["weights_in"][1] = [[127, 127], [5, 5], [0, 0]]
    net["weights_out"][2] = -128
    net["dash_mem"][:] = net["dash_mem_out"][:] = 0
    net["dash_mem"][1] = 1
    net["dash_syn_out"][:] = 15
    net["threshold"][2] = 10
    net["weight_shift_in"] = net["weight_shift_out"] = 8
    if core == "v2":
        net["bias_out"][:] = [-20000, 0]
    raster = np.zeros((24, 2), int)
    raster[1:4, 0] = 15
    raster[12:14, 1] = 15
    return net, raster, [(0, 6, True), (6, 24, False)]


def thresholds_at_the_rails(core):
    """Thresholds of 1, the largest, 0 and below, in both populations."""
    most = len(RAIL_THRESHOLDS)
    net = blank(1, most, most)
    net["weights_in"][0, :, 0] = [3, 127, 1, -2, 100, -100]
    net["weights_rec"][1, :, 0] = [-100, 0, 5, -128, 1, 127]
    net["weights_out"][1] = [2, 127, 1, -3, 100, -100]
    net["threshold"][:] = net["threshold_out"][:] = RAIL_THRESHOLDS
    net["weight_shift_in"] = net["weight_shift_out"] = 7
    return net, bursts(20, 1, every=4), [(0, 5, True), (5, 15, False), (15, 20, True)]


def caps(core):
    """15 spikes in, 31 from a hidden neuron, 1 from an output, each with something left over."""
    net = blank(2, 3, 2)
    net["weights_in"][:, :, 0] = [[127, 100, 10], [127, 0, -10]]
    net["weights_rec"][0, 1, 0] = 40
    net["weights_out"][:] = [[50, 1], [0, 2], [3, -3]]
    net["threshold"][:] = [20, 90, 30]
    net["threshold_out"][:] = [60, 1]
    return net, bursts(30, 2, every=10), [(0, 30, True)]


def alias_chains(core):
    """Aliases up, down, to itself, in a ring, to several, and onto neurons of a recurrent layer."""
    net = blank(2, 9, 2)
    net["weights_in"][0, :, 0] = [60, 5, 5, 0, 30, 0, 20, 0, 5]
    net["weights_in"][1, :, 0] = [0, 90, 0, 0, 0, 40, 0, 70, 60]
    net["weights_rec"][2:5, 2:5, 0] = [[10, -40, 5], [30, 0, -20], [-10, 25, 10]]
    net["weights_out"][:] = np.arange(18).reshape(9, 2) * 5 - 40
    net["threshold"][:] = [30, 40, 50, 60, 20, 45, 25, 35, 55]
    net["threshold_out"][:] = 100
    net["aliases"] = [[1, 2], [2], [3], [], [4], [1], [0, 8, 3], [6], [7]]
    raster = np.zeros((26, 2), int)
    raster[::3, 0] = np.arange(9) + 3
    raster[1::4, 1] = 15
    return net, raster, [(0, 10, True), (10, 18, True), (18, 26, False)]


def asleep(core):
    """Silence long enough to rest, then a spike, twice."""
    net = blank(1, 2, 1)
    net["weights_in"][0, :, 0] = [100, 3]
    net["weights_out"][0] = 100
    net["dash_mem"][:] = net["dash_mem_out"][:] = 1
    net["threshold"][0] = 40
    raster = np.zeros((60, 1), int)
    raster[[6, 40], 0] = 1
    return net, raster, [(0, 20, True), (20, 60, False)]


def asleep_with_a_bias(core):
    """A bias of 1 is the least decay: the membrane comes to rest above 0."""
    net, raster, calls = asleep(core)
    if core == "v2":
        net["bias"][1] = 1
    return net, raster, calls


def one_of_each(core):
    """One input, one neuron that excites itself, one output."""
    net = blank(1, 1, 1)
    net["weights_in"][:], net["weights_rec"][:], net["weights_out"][:] = 90, 20, 70
    net["dash_mem"][:], net["threshold"][:], net["threshold_out"][:] = 3, 100, 120
    net["aliases"] = [[0]]
    return net, bursts(20, 1, every=6, count=4), [(0, 8, True), (8, 20, True)]


SPECIAL = (
    order_at_the_rails,
    membranes_at_the_rails,
    every_dash,
    the_lowest_membrane,
    thresholds_at_the_rails,
    caps,
    alias_chains,
    asleep,
    asleep_with_a_bias,
    one_of_each,
)

"""NIR graphs of one neuron layer that the frameworks' own importers and ours read."""

import numpy as np

from toolchain.frontends.nir import NirFile, NirGraph, NirNode

NEURONS, STEPS = 8, 200
SNN_DT, DT = 1e-4, 1e-3


def each(value):
    """That number for each neuron, or numbers around it."""
    return np.full(NEURONS, value, dtype=np.float32)


def spread(low, high):
    return np.linspace(low, high, NEURONS, dtype=np.float32)


def lif(tau, r, threshold, **rest):
    given = {"tau": tau, "r": r, "v_leak": each(0), "v_threshold": each(threshold), **rest}
    return "LIF", given


def cuba(tau_mem, tau_syn, r, w_in, threshold, **rest):
    given = {"tau_mem": tau_mem, "tau_syn": tau_syn, "r": r, "w_in": w_in}
    return "CubaLIF", {**given, "v_leak": each(0), "v_threshold": each(threshold), **rest}


FIVE = (
    "LIF",
    {
        "tau": np.array([0.02]),
        "r": np.array([1.0]),
        "v_leak": np.array([0.0]),
        "v_threshold": np.array([0.5]),
    },
)
ZERO = {"v_reset": each(0)}
TAUS, SYNS = spread(5e-3, 4e-2), spread(3e-3, 2e-2)
SNN_TAUS, SNN_SYNS = SNN_DT / (1 - spread(0.5, 0.95)), SNN_DT / (1 - spread(0.3, 0.9))
SJ_TAU, SJ_SYN = each(2e-2), each(1e-2)

CASES = {
    "sinabs": {
        "five": (FIVE, {}),
        "LIF": (lif(spread(2, 30), each(1), 2), {}),
        "IF": (("IF", {"r": each(1), "v_threshold": each(2)}), {}),
        "LI": (("LI", {"tau": spread(2, 30), "r": each(1), "v_leak": each(0)}), {}),
    },
    "norse": {
        "five": (FIVE, {"dt": DT}),
        "LIF": (lif(TAUS, each(1), 0.3), {"dt": DT}),
        "LIF, v_leak": (lif(TAUS, each(1), 0.5, v_leak=each(0.2)), {"dt": DT}),
        "IF": (("IF", {"r": each(1), "v_threshold": each(2)}), {"dt": DT}),
        "CubaLIF": (cuba(TAUS, SYNS, each(1), each(1), 0.2), {"dt": DT}),
    },
    "snntorch": {
        "five": ((FIVE[0], {**FIVE[1], "v_reset": np.zeros(1)}), {"reset": "value"}),
        "LIF": (lif(SNN_TAUS, SNN_TAUS / SNN_DT, 2, **ZERO), {"reset": "value"}),
        "CubaLIF": (
            cuba(SNN_TAUS, SNN_SYNS, SNN_TAUS / SNN_DT, SNN_SYNS / SNN_DT, 4, **ZERO),
            {"reset": "value"},
        ),
    },
    "spikingjelly": {
        "five": ((FIVE[0], {**FIVE[1], "v_reset": np.zeros(1)}), {"dt": DT}),
        "LIF": (lif(SJ_TAU, each(1), 0.3, **ZERO), {"dt": DT}),
        "LIF, whole input": (lif(SJ_TAU, SJ_TAU / DT, 3, **ZERO), {"dt": DT}),
        "LIF, v_reset": (
            lif(SJ_TAU, each(1), 0.3, v_leak=each(0.125), v_reset=each(0.125)),
            {"dt": DT},
        ),
        "IF": (("IF", {"r": each(1 / DT), "v_threshold": each(2), **ZERO}), {"dt": DT}),
        "CubaLIF": (
            cuba(SJ_TAU, SJ_SYN, SJ_TAU / DT, SJ_SYN / DT, 6, **ZERO),
            {"dt": DT},
        ),
    },
    "rockpool": {"five": (FIVE, {})},
}
"""By framework and name: the layer, and what our reader has to be told beside the dialect."""

EXPORTED = {
    "sinabs": {"LIF": ({}, "sinabs"), "IAF": ({}, "sinabs")},
    "norse": {"LIFBoxCell": ({"dt": DT, "reset": "value"}, "norse-export")},
    "snntorch": {
        "Leaky": ({"reset": "subtract-late"}, "snntorch"),
        "Leaky, zero": ({"reset": "value-late"}, "snntorch"),
        "Leaky, no delay": ({"reset": "subtract-corrected"}, "snntorch"),
        "Synaptic": ({"reset": "subtract-late"}, "snntorch"),
        "Synaptic, zero": ({"reset": "value-late"}, "snntorch"),
    },
    "spikingjelly": {"LIFNode": ({"dt": DT}, "spikingjelly"), "IFNode": ({}, "spikingjelly")},
    "rockpool": {"LIFTorch": ({}, "rockpool")},
}
"""What frameworks export: what our reader has to be told, and the dialect."""


def drive(size):
    """Input (steps, neurons), in float32: constant for the case of one neuron."""
    if size == 1:
        return np.full((400, 1), 0.6, dtype=np.float32)
    rng = np.random.default_rng(7)
    return rng.normal(0.5, 1.0, (STEPS, size)).astype(np.float32)


def nodes(layer):
    """Names, types and fields of the whole graph: a weight of ones, then the layer."""
    kind, fields = layer
    size = len(fields["r"])
    return {
        "input": ("Input", {"shape": np.array([size])}),
        "fc": (
            "Affine",
            {
                "weight": np.eye(size, dtype=np.float32),
                "bias": np.zeros(size, dtype=np.float32),
            },
        ),
        "neuron": (kind, fields),
        "output": ("Output", {"shape": np.array([size])}),
    }


EDGES = [("input", "fc"), ("fc", "neuron"), ("neuron", "output")]


def as_file(layer, version=None):
    """The graph as our reader would have it from a file."""
    made = {
        name: NirNode(type=kind, fields=fields) for name, (kind, fields) in nodes(layer).items()
    }
    return NirFile(graph=NirGraph(nodes=made, edges=tuple(EDGES)), version=version, where="a.nir")

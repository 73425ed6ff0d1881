"""xylosim as an oracle: a network of plain arrays in, every state of every step out.

Needs numpy and xylosim alone, so that recorded vectors can be made in an environment that knows
nothing of this project. Sources: the signatures that xylosim 0.1.3 prints, and its behaviour.
"""

import importlib

import numpy as np


def synapse_lists(module, weights):
    """One list of synapses a source, from weights ``(pre, post, synapses)`` that are not 0."""
    return [
        [
            module.XyloSynapse(post, which, int(row[post, which]))
            for post, which in np.argwhere(row).tolist()
        ]
        for row in np.asarray(weights)
    ]


def build(core, net):
    """The layer of ``net`` and the lists it points into.

    The layer keeps bare pointers to the synapses: whoever drops the lists crashes the process.
    """
    module = importlib.import_module(f"xylosim.{core}")
    synapses = net["weights_in"].shape[2]
    lists = (
        synapse_lists(module, net["weights_in"]),
        synapse_lists(module, net["weights_rec"]),
        synapse_lists(module, net["weights_out"][:, :, None]),
    )
    dashes = [net["dash_syn"], net["dash_syn_2"]][:synapses]
    biased = bool(np.any(net["bias"]) or np.any(net["bias_out"]))
    bias = (biased, net["bias"].tolist(), net["bias_out"].tolist()) if core == "v2" else ()
    layer = module.XyloLayer(
        *lists,
        [list(map(int, targets)) for targets in net["aliases"]],
        net["threshold"].tolist(),
        net["threshold_out"].tolist(),
        *bias,
        int(net["weight_shift_in"]),
        int(net["weight_shift_rec"]),
        int(net["weight_shift_out"]),
        net["dash_mem"].tolist(),
        net["dash_mem_out"].tolist(),
        np.stack(dashes, axis=1).tolist(),
        net["dash_syn_out"][:, None].tolist(),
        "oracle",
    )
    return layer, lists


def run(core, net, raster, calls=None):
    """Every state of ``net`` over ``raster (T, Nin)``: a dict of arrays, time first.

    ``calls`` are ``(first step, last step + 1, whether reset before)``; one call unless given.
    """
    layer, lists = build(core, net)
    parts = []
    for first, stop, reset in calls or [(0, len(raster), True)]:
        if reset:
            layer.reset_all()
        parts.append(_evolve(core, net, layer, raster[first:stop]))
    del lists
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _evolve(core, net, layer, raster):
    """Every state of one call."""
    spikes = layer.evolve(np.asarray(raster).tolist())
    found = {
        "spikes": np.array(spikes, dtype=np.int16),
        "hidden_spikes": np.array(layer.rec_recurrent_spikes, dtype=np.int16),
        # membranes and currents are recorded neuron first
        "v_mem": np.array(layer.rec_v_mem, dtype=np.int16).T,
        "i_syn": np.array(layer.rec_i_syn, dtype=np.int16).T,
        "v_mem_out": np.array(layer.rec_v_mem_out, dtype=np.int16).T,
        "i_syn_out": np.array(layer.rec_i_syn_out, dtype=np.int16).T,
    }
    if net["weights_in"].shape[2] == 2:
        found["i_syn_2"] = np.array(layer.rec_i_syn2, dtype=np.int16).T
    if core == "v2":
        found["hibernation"] = np.array(layer.rec_hibernation_mode, dtype=bool)
    return found

"""Refused networks that are edited until they fit, and what is reported of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.builders import chain
from tests.refused import convolutional, dense
from toolchain import DeployError, DeployWarning, deploy, load_chip, repair
from toolchain.chips.fitting import Fitting
from toolchain.chips.load import family_of
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output
from toolchain.passes.prune import number_of_weights
from toolchain.pipeline import exact_passes
from toolchain.runs.interpret import interpret

# outputs of small networks are silent now and then, and agree by chance
pytestmark = pytest.mark.filterwarnings("ignore::toolchain.DeployWarning")


def layers(*sizes, synapses=1, **neuron):
    """Dense layers of ones: what counts is whether they fit."""
    lif = {"v_threshold": 9.0, "alpha_mem": 0.875, "alpha_syn": [0.75, 0.5][:synapses], **neuron}
    nodes = {}
    for k, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
        last = k == len(sizes) - 2
        number = 1 if last else synapses
        weight = np.random.default_rng(k).uniform(0.1, 1, (outputs * number, inputs))
        nodes |= {f"fc{k}": Linear(weight=weight)}
        nodes |= {f"lif{k}": Neuron(shape=(outputs,), **{**lif, "alpha_syn": lif["alpha_syn"][:number]})}
    return chain((sizes[0],), **nodes, dt=1e-3)


def images(*channels, side=8, **neuron):
    nodes, before = {}, 1
    for k, size in enumerate(channels):
        weight = np.random.default_rng(k).uniform(0.1, 1, (size, before, 3, 3))
        nodes[f"conv{k}"] = Conv2d(weight=weight, padding=(1, 1))
        nodes[f"spk{k}"] = Neuron(shape=(size, side, side), v_threshold=9.0, **neuron)
        before = size
    return chain((1, side, side), **nodes, dt=1e-3)


def nearest(graph, chip, **settings):
    """Return the networks that fit, the one that loses least first; each is deployed."""
    family = family_of(load_chip(chip))
    fitting = Fitting(
        family=family,
        rewrite=exact_passes,
        method=family.QUANTIZERS[1],
        options=family.OPTIONS(),
        **settings,
    )
    found = [*fitting.networks(graph)]
    costs = [network.cost for network in found]
    assert costs == sorted(costs)
    for network in found:
        deploy(network.graph, chip, allow=network.allow, quantizer=family.QUANTIZERS[1])
    return found


WAYS = [
    (layers(8, 60, 66, 4), "xylo_a2", {"prune_fan_out", "fewer_neurons"}),
    (layers(8, 130, 4), "xylo_a3", {"prune_windows", "fewer_neurons"}),
    (layers(8, 500, 4), "xylo_imu", {"fewer_neurons", "fewer_neurons + prune_windows"}),
    (layers(8, 20, 4, synapses=2), "xylo_imu", {"one_synapse"}),
    (layers(18, 20, 4), "xylo_a2", {"fewer_input_channels"}),
    (layers(8, 20, 4, bias=1.0), "xylo_1", {"no_bias"}),
    (layers(8, 20, 4, compare="gt"), "xylo_a2", {"gt->ge"}),
    (images(80, 4, side=32), "speck2f", {"two_cores", "fewer_channels_out"}),
    (images(*[2] * 10), "speck2f", {"fewer_layers", "merged_layers"}),
    (images(2, 3, alpha_mem=0.9), "speck2f", {"no_leak", "exponential_leak->linear_leak"}),
    (images(2, 3, bias=1.0), "speck2f", {"plain_neurons"}),
]


@pytest.mark.parametrize(("graph", "chip", "names"), WAYS)
def test_a_refused_network_has_one_near_it_that_fits(graph, chip, names):
    with pytest.raises(DeployError) as refused:
        deploy(graph, chip)
    found = {" + ".join(network.names) for network in nearest(graph, chip)}
    assert names <= found
    line = refused.value.repair
    assert bool(line) != bool(refused.value.acceptance)
    assert not line or line.startswith(f'toolchain.repair(model, "{chip}"')

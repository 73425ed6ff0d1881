"""Refused networks that are edited until they fit, and what is reported of it."""

import json
from itertools import pairwise

import numpy as np
import pytest

from tests.builders import chain
from tests.refused import dense
from toolchain import DeployError, DeployWarning, deploy, load_chip, repair
from toolchain.chips.fitting import Fitting, FittingNetwork
from toolchain.chips.load import family_of
from toolchain.ir import Add, Conv2d, Edge, Graph, Linear, Neuron
from toolchain.passes.prune import number_of_weights
from toolchain.pipeline import exact_passes
from toolchain.runs.interpret import interpret


def layers(*sizes, synapses=1, **neuron):
    """Return dense layers; hidden ones have so many synapses."""
    lif, nodes = {"v_threshold": 9.0, "alpha_mem": 0.875, **neuron}, {}
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        number = 1 if k == len(sizes) - 2 else synapses
        weight = np.random.default_rng(k).uniform(0.1, 1, (outputs * number, inputs))
        nodes[f"fc{k}"] = Linear(weight=weight)
        nodes[f"lif{k}"] = Neuron(shape=(outputs,), **lif, alpha_syn=[0.75, 0.5][:number])
    return chain((sizes[0],), **nodes, dt=1e-3)


def images(*channels, side=8, **neuron):
    """Return convolutions with kernels of 3 x 3."""
    nodes, before = {}, 1
    for k, size in enumerate(channels):
        weight = np.random.default_rng(k).uniform(-0.5, 1, (size, before, 3, 3))
        nodes[f"conv{k}"] = Conv2d(weight=weight, padding=(1, 1))
        nodes[f"spk{k}"] = Neuron(shape=(size, side, side), v_threshold=9.0, **neuron)
        before = size
    return chain((1, side, side), **nodes, dt=1e-3)


def looped():
    graph = images(2, 2)
    nodes = {**graph.nodes, "rec": Conv2d(weight=np.full((2, 2, 1, 1), -0.1)), "sum": Add()}
    edges = [edge for edge in graph.edges if edge != Edge("conv1", "spk1")]
    edges += [("conv1", "sum"), ("rec", "sum"), ("sum", "spk1"), Edge("spk1", "rec", 1)]
    return Graph(nodes, edges, dt=1e-3)


def fitting(chip, **settings):
    family = family_of(load_chip(chip))
    return Fitting(
        family=family,
        rewrite=exact_passes,
        method=family.QUANTIZERS[1],
        options=family.OPTIONS(),
        **settings,
    )


WAYS = [
    (layers(8, 60, 66, 4), "xylo_a2", {"prune_fan_out", "fewer_neurons"}),
    (layers(8, 130, 4), "xylo_a3", {"prune_windows", "fewer_neurons"}),
    (layers(8, 500, 4), "xylo_imu", {"fewer_neurons", "fewer_neurons + prune_windows"}),
    (layers(8, 180, 180, 4), "xylo_a3", {"prune_windows + prune_memory"}),
    (layers(8, 20, 4, synapses=2), "xylo_imu", {"one_synapse"}),
    (layers(18, 20, 4), "xylo_a2", {"fewer_input_channels"}),
    (layers(8, 20, 4, bias=1.0), "xylo_1", {"no_bias"}),
    (layers(8, 20, 4, compare="gt"), "xylo_a2", {"gt->ge"}),
    (images(60, 128, 4, side=1), "speck2f", {"two_cores", "fewer_channels_out"}),
    (images(100, 100, 4, side=1), "speck2f", {"fewer_channels_in", "fewer_channels_out"}),
    (images(*[2] * 10), "speck2f", {"fewer_layers"}),
    (images(2, 3, alpha_mem=0.9), "speck2f", {"no_leak", "exponential_leak->linear_leak"}),
    (images(2, 3, bias=1.0), "speck2f", {"plain_neurons"}),
    (looped(), "speck2f", {"no_recurrence"}),
]


@pytest.mark.parametrize(("graph", "chip", "names"), WAYS)
def test_a_refused_network_has_one_near_it_that_fits(graph, chip, names):
    found = [*fitting(chip).networks(graph)]
    assert names <= {" + ".join(network.names) for network in found}
    costs = [network.cost for network in found]
    assert costs == sorted(costs)
    for network in found:
        lost = 1 - number_of_weights(network.graph) / number_of_weights(graph)
        assert network.names
        assert not network.errors
        assert network.cost >= min(0.9, lost) * 0.999 or not network.edits


def test_what_is_divided_onto_two_cores_computes_the_same():
    graph = images(4, 60, 128, 4, side=1)
    (network, *_) = fitting("speck2f").networks(graph)
    assert network.names == ("two_cores",)
    x = np.random.default_rng(0).poisson(300, (2, 6, 1, 1, 1))
    wanted, got = (interpret(g, x).spikes for g in (graph, network.graph))
    assert wanted.any()
    np.testing.assert_array_equal(got, wanted)


def test_errors_of_the_integers_are_removed_too():
    graph = images(2, 3, v_min=0.0)
    with pytest.raises(DeployError) as refused:
        deploy(graph, "speck2f", quantizer="common")
    start = FittingNetwork(graph=graph, errors=refused.value.diagnostics)
    (network, *_) = fitting("speck2f").networks_from(start)
    assert network.names == ("lower_floor",)
    assert network.graph["spk0"].v_min == -9.0


def test_two_synapses_become_one_of_the_same_charge():
    graph = layers(8, 20, 4, synapses=2)
    (network,) = fitting("xylo_imu").networks(graph)
    before, after = (
        g["lif0"].alpha_syn / (1 - g["lif0"].alpha_syn) for g in (graph, network.graph)
    )
    charge = (graph["fc0"].weight.reshape(20, 2, 8) * before[:, None]).sum(axis=1)
    np.testing.assert_allclose(network.graph["fc0"].weight * after, charge)


def test_approximations_that_are_not_accepted_are_not_used():
    graph = layers(8, 20, 4, compare="gt")
    assert [*fitting("xylo_a2", allow=()).networks(graph)] == []


def test_a_refusal_names_what_makes_it_fit():
    with pytest.raises(DeployError) as refused:
        deploy(layers(18, 66, 66, 4), "xylo_a2")
    last = str(refused.value).splitlines()[-1]
    assert last == refused.value.repair == refused.value.as_dict()["repair"]
    assert last.startswith('toolchain.repair(model, "xylo_a2", data, labels) makes it fit')
    assert "input 18 -> 16 channels; keep the 64 strongest targets" in last
    with pytest.raises(DeployError) as refused:
        deploy(layers(18, 20, 9), "xylo_a2")  # nothing helps against too many outputs
    assert refused.value.repair == ""


@pytest.fixture(scope="module")
def repaired():
    graph, spikes, labels = dense(66, recurrent=True, channels=18, samples=32)
    settings = {"quantizer": "channel", "epochs": 1, "every": True, "tries": 1}
    with pytest.warns(DeployWarning):
        return spikes, repair(graph, "xylo_a2", spikes, labels, **settings)


def test_a_repair_is_the_best_network_and_what_each_costs(repaired):
    spikes, found = repaired
    given, *others = found.attempts
    assert (given.name, given.fits, given.value) == ("as given", False, None)
    assert "fan_out at lif0" in given.refusal
    assert all(each.fits and each.after is not None for each in others)
    assert found.value == max(each.value for each in others)
    assert found.within == (found.value >= found.reference - 0.01)
    assert len(found.channels) == 16
    assert found.deployment.graph.provenance["edits"] == found.chosen.words
    assert any(f.rule == "repair" for f in found.deployment.diagnostics)
    result = found.deployment.simulate(spikes[:2, :, list(found.channels)])
    assert result.spikes.shape == (2, spikes.shape[1], 8)
    pruned = found.deployment.quantized["rec0"].weight[found.deployment.graph["rec0"].weight == 0]
    assert not pruned.any()
    assert "prune_fan_out" in str(found)
    data = json.loads(json.dumps(found.as_dict()))
    assert data["attempts"][data["chosen"]]["name"] == found.chosen.name


def test_without_labels_the_agreement_counts_and_the_nearest_is_warned_of():
    graph, spikes, _ = dense(66, recurrent=True, samples=24)
    with pytest.warns(DeployWarning, match="points below the float network"):
        found = repair(graph, "xylo_a2", spikes, quantizer="channel", epochs=1, tries=1)
    assert (found.what, found.reference, found.within) == ("agreement", 1.0, False)
    assert "more than the 1 that were wanted" in str(found)


def test_what_cannot_be_repaired_is_refused():
    graph, spikes = layers(8, 20, 9), np.ones((4, 5, 8), int)
    with pytest.raises(DeployError, match="output_neurons"):
        repair(graph, "xylo_a2", spikes)
    wrongs = {"max_drop": 2, "quantizer": "best", "allow": ["all"]}
    messages = "0..1", "auto", "unknown approximation all"
    for (name, value), message in zip(wrongs.items(), messages, strict=True):
        with pytest.raises(ValueError, match=message):
            repair(graph, "xylo_a2", spikes, **{name: value})
    with pytest.raises(ValueError, match="at least 2"):
        repair(graph, "xylo_a2", spikes[:1])

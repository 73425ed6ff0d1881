"""Speck 2c-mini and 2d-mini: five cores, biases on two of them, and no power that is known."""

import numpy as np
import pytest

from tests.chips.speck.graphs import conv, iaf
from toolchain import DeployError, deploy
from toolchain.ir import Graph, Input, Output

SMALL = ("speck2c_mini", "speck2d_mini")


def layers(number, **changes):
    """A chain of 1x1 convolutions with neurons behind each."""
    nodes = {"input": Input(shape=(1, 8, 8))}
    for index in range(number):
        nodes[f"conv{index}"] = conv(1, 1, **changes)
        nodes[f"spk{index}"] = iaf((1, 8, 8))
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


@pytest.mark.parametrize("chip", SMALL)
def test_a_network_walks_onto_a_small_chip(chip):
    deployed = deploy(layers(5), chip=chip)
    cores = ["core 0", "core 1", "core 2", "core 3", "core 4"]
    assert deployed.placement["spk0"] == "core 0"
    assert sorted(deployed.placement.values()) == cores
    yielded = [f.where for f in deployed.diagnostics if f.rule == "event_order"]
    assert yielded == ["spk0", next(n for n, at in deployed.placement.items() if at == "core 1")]
    spikes = np.random.default_rng(1).poisson(0.5, (1, 10, 1, 8, 8))
    np.testing.assert_array_equal(
        deployed.simulate(spikes).spikes, deployed.reference_quantized(spikes).spikes
    )
    words = [row.limit for row in deployed.resources() if row.resource == "bias memory"]
    assert sorted(words) == [0, 0, 0, 1024, 1024]


@pytest.mark.parametrize("chip", SMALL)
def test_an_estimate_counts_and_says_that_power_is_unknown(chip):
    deployed = deploy(layers(2), chip=chip)
    estimate = deployed.estimate(np.ones((1, 10, 1, 8, 8), int))
    assert estimate.activity.synops_per_step > 0
    assert (estimate.idle, estimate.dynamic, estimate.latency) == ({}, {}, None)
    assert any("what the chip draws is unknown" in str(text) for text in estimate.not_priced)
    assert "what the chip draws is unknown" in str(estimate)


@pytest.mark.parametrize("chip", SMALL)
def test_biases_on_three_layers_are_one_too_many(chip):
    with pytest.raises(DeployError) as refusal:
        deploy(layers(3, bias=[0.5]), chip=chip)
    (finding,) = refusal.value.diagnostics
    assert (finding.rule, finding.need, finding.limit) == ("placement", 3, 2)
    assert finding.hint == "the program fits speck2e or speck2f"


@pytest.mark.parametrize("chip", SMALL)
def test_six_layers_are_sent_to_a_larger_chip(chip):
    with pytest.raises(DeployError) as refusal:
        deploy(layers(6), chip=chip)
    assert [(f.rule, f.hint) for f in refusal.value.diagnostics] == [
        ("core_count", "the program fits speck2e or speck2f")
    ]

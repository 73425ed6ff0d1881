"""Xylo 1 from the graph to its configuration: no biases, core v1, nothing known of its power."""

from math import inf

import numpy as np
import pytest

from tests.chips.xylo.programs import quiet
from tests.test_deploy import leaky, spikes
from toolchain import DeployError, deploy
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.power import activity_at, estimate
from toolchain.chips.xylo.simulate.run import simulate

ONE, A2 = load_chip("xylo_1"), load_chip("xylo_a2")


@pytest.fixture(scope="module")
def deployed():
    return deploy(leaky(), chip="xylo_1")


def test_a_network_goes_onto_xylo_1(deployed):
    assert (deployed.program.chip, deployed.program.core) == ("xylo_1", "v1")
    tree = deployed.config()
    assert tree["debug"] == {"clock_enable": True, "ram_power_enable": True}
    assert np.array_equal(tree["input"]["weights"], deployed.program.weights_in[..., 0])


def test_it_runs_on_core_v1():
    # a current beyond 16 bit in one step: core v2 cuts it off before it is added
    given = {
        "synapses": 2,
        "weights_in": np.full((1, 2, 2), 127),
        "weight_shift_in": 7,
        "dash_mem": np.full(2, 15),
        "dash_syn": np.full(2, 15),
        "dash_syn_2": np.full(2, 15),
    }
    start = np.full((1, 2, 1), 15)
    deep = quiet(**given | {"weights_in": np.full((1, 2, 2), -128)}, core="v1")
    below = simulate(deep, start, record=True).state
    v1 = simulate(quiet(core="v1", **given), start, state=below, record=True)
    v2 = simulate(quiet(core="v2", **given), start, state=below, record=True)
    assert not np.array_equal(v1.v_mem, v2.v_mem)


def test_biases_are_refused_layer_by_layer():
    with pytest.raises(DeployError) as caught:
        deploy(leaky(bias=0.1), chip="xylo_1")
    found = [(f.where, f.message) for f in caught.value.diagnostics if "bias" in f.rule]
    assert found == [(f"lif{k}", "has a bias, xylo_1 has none") for k in range(3)]


def test_every_power_is_unknown_and_the_rest_is_estimated(deployed):
    found = deployed.estimate(spikes((2, 50, 8)))
    for figure in (found.power, found.idle_power, found.dynamic_power):
        assert (figure.low, figure.nominal, figure.high) == (0.0, None, inf)
        assert str(figure) == "unknown"
    for figure in (found.energy_per_inference, found.dynamic_energy_per_inference):
        assert (figure.nominal, str(figure)) == (None, "unknown")
    assert found.power_by_rail == {}
    assert found.basis == "unknown"
    assert found.clock_hz == 50e6
    assert found.load.nominal > 0
    assert found.latency.nominal > 1
    assert found.synops_per_second > 0
    assert "No measurement of this chip was found" in str(found.not_priced[-1])
    assert "unknown" in str(found)


def test_cycles_are_those_of_audio_2():
    xylo_program = quiet(core="v1", dt=1e-3, weights_in=np.ones((1, 2, 1), int))
    rates = {"input": 100.0, "hidden": 50.0, "output": 10.0}
    counted = activity_at(xylo_program, rates, steps=1)
    loads = [estimate(xylo_program, chip, counted, 50e6).load for chip in (ONE, A2)]
    assert loads[0].nominal == loads[1].nominal

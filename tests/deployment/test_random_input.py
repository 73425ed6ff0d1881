"""Estimates from the rate of the input alone: Poisson input, simulated on the chip's integers."""

import re

import numpy as np
import pytest

from tests.cases import each
from toolchain import deploy
from toolchain.deployment import random_input
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output

LEAKY = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}


def xylo():
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input(shape=(4,)),
        "fc1": Linear(weight=rng.normal(0.3, 0.3, (8, 4))),
        "lif1": Neuron(shape=(8,), **LEAKY),
        "fc2": Linear(weight=rng.normal(0.3, 0.3, (2, 8))),
        "lif2": Neuron(shape=(2,), **LEAKY),
        "output": Output(),
    }
    return deploy(Graph.chain(nodes, dt=10e-3), "xylo_a3")


def speck():
    nodes = {
        "input": Input(shape=(2, 6, 5)),
        "conv": Conv2d(weight=np.random.default_rng(0).normal(0.2, 0.3, (3, 2, 3, 3))),
        "spikes": Neuron(shape=(3, 4, 3), v_threshold=1.0),
        "output": Output(),
    }
    return deploy(Graph.chain(nodes, dt=1e-3), "speck2f")


@pytest.fixture(scope="module")
def deployments():
    return {"xylo": xylo(), "speck": speck()}


@each(
    ("family", "rate"),
    [
        ("xylo", 30.0),
        ("xylo", [0, 10, 20, np.float32(40)]),
        ("xylo", 1400),  # some counts are above the limit
        ("speck", 20),
        ("speck", [20.0, 0.0]),
        ("speck", np.linspace(0, 50, 60).reshape(2, 6, 5)),
    ],
)
def test_hidden_activity_is_that_of_a_simulation_of_the_drawn_spikes(family, rate, deployments):
    d = deployments[family]
    shape, dt = d.graph.shape(d.graph.input), d.graph.dt
    rates = np.asarray(rate, float)
    if rates.ndim == 1:
        rates = rates.reshape(-1, *[1] * (len(shape) - 1))
    drawn = np.random.default_rng(3).poisson(
        np.broadcast_to(rates, shape) * dt, (random_input.SAMPLES, 40, *shape)
    )
    limit = d.family.input_limit()
    given = drawn if limit is None else drawn.clip(0, limit.value)
    found, wanted = d.estimate(input_rate=rate, steps=40, seed=3), d.estimate(given)
    assert found.activity == wanted.activity
    assert found.power == wanted.power
    assert found.activity.layers[1].spikes_per_step > 0
    assert found.activity_source.startswith("simulated: Poisson input of ")
    assert ("cut to 15 spikes a step" in found.activity_source) is bool((given < drawn).any())
    assert wanted.activity_source == ""
    assert found.activity_source in " ".join(str(found).split())
    assert found.as_dict()["activity_source"] == found.activity_source


def test_the_input_has_the_rate_and_the_seed_decides_on_its_spikes(deployments, monkeypatch):
    d = deployments["xylo"]
    found = d.estimate(input_rate=[5, 10, 15, 20], steps=500)
    per_second = found.activity.layers[0].spikes_per_step / d.graph.dt
    counted = random_input.SAMPLES * 500 * d.graph.dt
    assert abs(per_second - 50) < 5 * np.sqrt(50 / counted)
    again, other = (d.estimate(input_rate=[5, 10, 15, 20], steps=500, seed=s) for s in (0, 1))
    assert again.activity == found.activity
    assert other.activity != found.activity
    monkeypatch.setattr(random_input, "AT_ONCE", 1)  # sample by sample
    one_by_one = d.estimate(input_rate=[5, 10, 15, 20], steps=500).activity
    for layer in found.activity.layers:
        assert one_by_one[layer.name].spikes_per_step == pytest.approx(layer.spikes_per_step)


def test_without_steps_an_inference_is_as_long_as_the_calibration(deployments):
    calibrated = deploy(deployments["xylo"].graph, "xylo_a3", calibration=np.ones((2, 30, 4), int))
    assert calibrated.estimate(input_rate=10).activity.steps == 30
    assert calibrated.estimate(input_rate=10, steps=7).activity.steps == 7


@each(
    ("family", "options", "message"),
    [
        ("xylo", {"input_rate": 20}, "input_rate needs steps, the timesteps of one inference"),
        ("xylo", {"input_rate": 20, "steps": 0}, "steps must be a whole number >= 1, got 0"),
        ("xylo", {"input_rate": 20, "steps": 2.5}, "steps must be a whole number >= 1, got 2.5"),
        ("xylo", {"input_rate": 1, "steps": 10**12}, "steps must be at most 33554432 of 4 inputs"),
        ("xylo", {"input_rate": 10**400, "steps": 5}, "input_rate must be spike/s of a channel, "),
        (
            "xylo",
            {"input_rate": np.ma.array([1, 2, 3, 4], mask=[0, 0, 0, 1]), "steps": 5},
            "input_rate must be spike/s of a channel, ",
        ),
        ("xylo", {"input_rate": 1, "steps": 5, "seed": -1}, "seed must be a whole number >= 0"),
        ("xylo", {"input_rate": -1, "steps": 5}, "input_rate must be spike/s of a channel, "),
        ("xylo", {"input_rate": np.nan, "steps": 5}, "input_rate must be spike/s of a channel, "),
        ("xylo", {"input_rate": "9 Hz", "steps": 5}, "input_rate must be spike/s of a channel, "),
        ("xylo", {"input_rate": True, "steps": 5}, "input_rate must be spike/s of a channel, "),
        ("xylo", {"input_rate": [1, 2, 3], "steps": 5}, "input_rate must be one number, 4 numbers"),
        ("speck", {"input_rate": np.ones((6, 5)), "steps": 5}, "input_rate must be one number, 2 "),
        (
            "xylo",
            {"input_rate": 2000, "steps": 5},
            "input_rate 2000 Hz is 20 spikes in a step of 0.01 s, xylo_a3 takes at most 15: give "
            "at most 1500 Hz, or deploy with a shorter timestep",
        ),
        (
            "xylo",
            {"input_rate": 20, "steps": 5, "rates": {"input": 1}},
            "give only one of spikes, rates, input_rate, recording and activity",
        ),
    ],
)
def test_rates_that_cannot_be_simulated_are_refused(family, options, message, deployments):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        deployments[family].estimate(**options)

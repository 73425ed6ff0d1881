"""Numbers that are no numbers: a finding with layer and neuron, never a crash or a warning."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from tests.builders import chain
from toolchain import DeployError, deploy
from toolchain.chips.load import family_of, load_chip
from toolchain.chips.rules.numbers import numbers
from toolchain.diagnostics import ExtractError
from toolchain.ir import Conv2d, Flatten, Linear, Neuron
from toolchain.nn import CubaLIF

LIF = {"v_threshold": 1.0, "alpha_mem": 0.9375, "alpha_syn": np.array([0.75])}
NORMAL = {
    "alpha_mem": 0.9375,
    "alpha_syn": 0.75,
    "gain": 1.0,
    "v_leak": 0.0,
    "bias": 0.0,
    "v_init": 0.0,
    "v_threshold": 1.0,
    "reset_amount": 1.0,
    "v_reset": 0.0,
    "v_min": -1.0,
    "spike_scale": 1.0,
}
ODD = (np.inf, -np.inf, np.nan, 1e300, 5e-324)
"""Values that no network may have; campaigns try those that it may."""


def dense(weight=None, offset=None, **fields):
    """Return a network for Xylo whose hidden layer has odd numbers."""
    rng = np.random.default_rng(0)
    first = rng.normal(0.1, 0.4, (6, 5)) if weight is None else weight
    return chain(
        (5,),
        fc1=Linear(weight=first, bias=offset),
        hid=Neuron(shape=(6,), **{**LIF, **fields}),
        fc2=Linear(weight=rng.normal(0.1, 0.4, (3, 6))),
        out=Neuron(shape=(3,), **LIF),
        dt=1e-3,
    )


def maps(weight=None, offset=None, **fields):
    """Return a network for Speck whose first layer has odd numbers."""
    rng = np.random.default_rng(0)
    first = rng.normal(0.1, 0.3, (2, 2, 3, 3)) if weight is None else weight
    return chain(
        (2, 6, 6),
        conv=Conv2d(weight=first, bias=offset),
        hid=Neuron(shape=(2, 4, 4), **{"v_threshold": 1.0, "v_min": -1.0, **fields}),
        flat=Flatten(),
        fc=Linear(weight=rng.normal(0.1, 0.3, (3, 32))),
        out=Neuron(shape=(3,), v_threshold=1.0, v_min=-1.0),
        dt=1e-3,
    )


NETS = {"xylo_a3": (dense, (6,), (3,)), "speck2f": (maps, (2, 4, 4), (1, 2, 3))}


def odd(chip, field, value):
    """Return the fields of a layer of which one neuron has ``value``."""
    _, shape, place = NETS[chip]
    array = np.full((*shape, 1) if field == "alpha_syn" else shape, NORMAL[field])
    array[place] = value
    return {field: array}


def attempt(build, chip):
    """Return the findings of a deployment or refusal, as text; everything is worded."""
    try:
        graph = build()
    except ValueError as fault:  # refused by the node
        return str(fault)
    try:
        return str(deploy(graph, chip, quantizer=family_of(load_chip(chip)).QUANTIZERS[1]))
    except DeployError as refusal:
        return str(refusal)


@pytest.mark.parametrize("chip", NETS)
@pytest.mark.parametrize("field", NORMAL)
def test_one_odd_number_of_a_layer_is_refused_by_layer_and_neuron(chip, field):
    make, _, place = NETS[chip]
    if chip == "speck2f" and field == "alpha_syn":
        return
    named = ", ".join(map(str, place))
    for value in ODD:
        text = attempt(lambda value=value: make(**odd(chip, field, value)), chip)
        # decays outside 0..1 and thresholds that are not above 0 are refused by the node
        found = rf"hid: {field} is {re.escape(f'{value:g}')} for neuron"
        assert re.search(rf"{found}|Neuron.{field} (must be|contains NaN)", text), text
        assert named in text


@pytest.mark.parametrize("chip", NETS)
@pytest.mark.parametrize("name", ["weight", "offset"])
def test_one_odd_weight_or_bias_is_refused_by_its_index(chip, name):
    make, _, _ = NETS[chip]
    shape = {"xylo_a3": (6, 5), "speck2f": (2, 2, 3, 3)}[chip]
    for value in ODD:
        array = np.full(shape if name == "weight" else shape[:1], 0.3)
        array.flat[1] = value
        text = attempt(lambda array=array: make(**{name: array}), chip)
        index = "1" if name == "offset" else f"({', '.join('0' * (len(shape) - 1))}, 1)"
        assert re.search(rf"(at \w+\[|NaN at |neurons? ){re.escape(index)}", text), text


@pytest.mark.parametrize("cap", [0, -1, 1.5, np.inf, np.nan, "3", True])
def test_a_cap_is_a_whole_number(cap):
    with pytest.raises(ValueError, match="max_spikes must be a whole number >= 1 or None, got"):
        dense(max_spikes=cap)
    assert dense(max_spikes=np.int64(15))["hid"].max_spikes == 15


def test_all_layers_are_reported_at_once_with_remedies_that_help():
    threshold, weight = np.ones(6), np.full((6, 5), 0.3)
    threshold[[1, 4]], weight[2, 3] = np.inf, np.inf
    graph = dense(weight=weight, v_threshold=threshold)
    with pytest.raises(DeployError, match="2 errors") as refusal:
        deploy(graph, "xylo_a3")
    first, second = map(str, refusal.value.diagnostics)
    assert first.startswith("error[numbers] fc1: weight is inf at weight[(2, 3)]; every number")
    assert "hint: give finite numbers" in first
    assert second.startswith("error[numbers] hid: v_threshold is inf for neurons 1, 4 of 6")
    assert "set its threshold to 1 and its weights and bias to 0" in second
    threshold[[1, 4]], weight[[1, 4]], weight[2, 3] = 1, 0, 0.3
    assert deploy(dense(weight=weight, v_threshold=threshold), "xylo_a3", quantizer="channel")
    assert not [*numbers(dense(v_threshold=2, v_min=None))]


def torch_net(first, parameters):
    hidden = CubaLIF(20, dt=1e-3, **parameters)
    last = CubaLIF(4, tau_mem=15.5e-3, tau_syn=7.5e-3, dt=1e-3)
    return nn.Sequential(first, hidden, nn.Linear(20, 4, bias=False), last)


@pytest.mark.parametrize(
    ("field", "value"),
    [(f, v) for f in ("tau_mem", "tau_syn", "threshold") for v in (0.0, np.inf, np.nan, -1e-3)]
    + [("weight", np.nan), ("weight", np.inf)],
)
def test_one_odd_parameter_of_a_torch_module_is_refused_by_layer(field, value):
    torch.manual_seed(0)
    parameters = {"tau_mem": torch.full((20,), 15.5e-3), "tau_syn": torch.full((20,), 7.5e-3)}
    parameters["threshold"] = torch.ones(20)
    first = nn.Linear(12, 20, bias=False)
    (first.weight.data[3] if field == "weight" else parameters[field])[3] = value
    sample = (torch.rand(2, 20, 12) < 0.2).float()
    with pytest.raises(ValueError, match=r".") as refusal:
        deploy(torch_net(first, parameters), "xylo", sample=sample, quantizer="channel")
    text = str(refusal.value)
    if isinstance(refusal.value, DeployError):
        assert {finding.where for finding in refusal.value.diagnostics} <= {"0", "1"}
    elif isinstance(refusal.value, ExtractError):
        assert re.search(r"layer '[01]'", text)
    else:
        assert field in text

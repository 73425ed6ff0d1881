"""Loss of agreement by layer."""

import json

import pytest

from tests.fidelity.damage import damaged
from tests.oracles.xylo_compared import random_case
from toolchain import deploy
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import count_agreement


@pytest.fixture(scope="module")
def deployment():
    case = random_case(2)
    return deploy(case.graph, "xylo_a2", quantizer="channel")


def spikes():
    return random_case(2).held_out[:12]


@pytest.mark.parametrize("layer", ["h0", "h1", "out"])
def test_a_damaged_layer_is_first(deployment, layer):
    found = damaged(deployment, layer, seed=1).sensitivity(spikes())
    assert found.layers[0].layer == layer
    assert found[layer].all_but - found.all_layers > 0.05


def test_figures_are_those_of_the_mixed_networks(deployment):
    found = deployment.sensitivity(spikes())
    floats, chip = deployment.graph, deployment.quantized
    wanted = interpret(floats, spikes(), record=True)
    only = floats.replace({name: chip[name] for name in ("into_h1", "h1")})
    but = chip.replace({name: floats[name] for name in ("into_h1", "h1")})
    alone = interpret(only, spikes(), record=True)
    row = found["h1"]
    assert row.only == count_agreement(wanted.spikes, alone.spikes)
    assert row.all_but == count_agreement(wanted.spikes, interpret(but, spikes()).spikes)
    assert row.own == count_agreement(wanted.layers["h1"].spikes, alone.layers["h1"].spikes)
    every = interpret(chip, spikes())
    assert found.all_layers == count_agreement(wanted.spikes, every.spikes)
    compared = deployment.compare(spikes())
    assert found.on_chip == pytest.approx(compared.agreement["clocked"])
    assert row.accumulated == pytest.approx(compared["h1"].agreement["clocked"])
    ideal = count_agreement(
        wanted.layers["h1"].spikes, interpret(chip, spikes(), record=True).layers["h1"].spikes
    )
    assert row.floor == pytest.approx(ideal - row.accumulated)


def test_the_result_prints_and_is_data(deployment):
    found = deployment.sensitivity(spikes())
    losses = [row.all_but for row in found.layers]
    assert losses == sorted(losses, reverse=True)
    text = str(found)
    assert all(row.layer in text for row in found.layers)
    assert "reachable" in text
    data = json.loads(json.dumps(found.as_dict()))
    assert [row["layer"] for row in data["layers"]] == [row.layer for row in found.layers]
    with pytest.raises(KeyError, match="no layer 'fc9'; there are"):
        found["fc9"]

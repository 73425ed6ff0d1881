"""Networks of sinabs' tutorials give the numbers published for them."""

import pytest
import torch

from tests.synops.tutorial import LAYERS, SPIKING, data, network
from toolchain.nn import detach_states, reset_states
from toolchain.synops import (
    SNNAnalyzer,
    firing_rate_hook,
    firing_rate_loss,
    firing_rate_per_neuron_hook,
    layer_synops_loss,
    register_synops_hooks,
)

# 731 in float32 as a sum of means; the last bit is that of the processor's order of addition
DENSE = (731.0, 731.0000610351562)


def values(figures):
    return {key: value.item() for key, value in figures.items()}


def test_synops_per_step_are_the_published_ones():
    model = network()
    register_synops_hooks(model)
    model(data())
    synops = values(model.hook_data["synops_per_timestep"])
    assert synops.pop(10) in DENSE
    assert synops == {1: 230400.0, 4: 901120.0, 7: 88320.0}
    assert model.hook_data["total_synops_per_timestep"].item() == 1220571.0
    for key in LAYERS:
        kept = model[key].hook_data["synops_per_timestep"]
        assert kept is model.hook_data["synops_per_timestep"][key]
    assert "synops_per_second" not in model.hook_data


def test_synops_per_second_are_the_published_ones():
    model = network()
    register_synops_hooks(model, dt=1e-3)
    model(data())
    synops = values(model.hook_data["synops_per_second"])
    assert synops.pop(10) in (730999.9375, 731000.0)
    assert synops == {1: 230399984.0, 4: 901119936.0, 7: 88319992.0}
    assert model.hook_data["total_synops_per_second"].item() == 1220570880.0
    assert model[1].hook_data["synops_per_second"].item() == 230399984.0


def test_firing_rates_are_the_published_ones():
    model = network()
    for key in SPIKING:
        model[key].register_forward_hook(firing_rate_hook)
        model[key].register_forward_hook(firing_rate_per_neuron_hook)
    model(data())
    found = [model[key].hook_data for key in SPIKING]
    assert [one["firing_rate"].item() for one in found] == [
        0.2750000059604645,
        0.359375,
        0.60916668176651,
        0.4099999964237213,
    ]
    rates = [one["firing_rate_per_neuron"] for one in found]
    assert [tuple(rate.shape) for rate in rates] == [(16, 24, 24), (32, 8, 8), (120, 1, 1), (10,)]
    silent = [f"{(rate == 0).float().mean().item():.2%}" for rate in rates]
    assert silent == ["50.00%", "50.00%", "46.67%", "30.00%"]


def test_the_analyzer_gives_the_published_figures_a_sample():
    model = network()
    analyzer = SNNAnalyzer(model)
    assert analyzer.get_model_statistics()["synops"] == 0
    model(data())
    layers = analyzer.get_layer_statistics()
    assert {k: v["synops"].item() for k, v in layers["parameter"].items()} == {
        "1": 2304000.0,
        "4": 9011200.0,
        "7": 883200.0,
        "10": 7310.0,
    }
    assert {k: v["synops/s"].item() for k, v in layers["parameter"].items()} == {
        "1": 230400000.0,
        "4": 901120000.0,
        "7": 88320000.0,
        "10": 731000.0,
    }
    assert {v["num_timesteps"] for v in layers["parameter"].values()} == {10}
    assert {v["time_window"] for v in layers["parameter"].values()} == {10.0}
    assert [v["n_neurons"] for v in layers["spiking"].values()] == [9216, 2048, 120, 10]
    assert list(layers["spiking"]) == ["2", "5", "8", "11"]
    model_figures = analyzer.get_model_statistics()
    assert model_figures["synops"].item() == 12205710.0
    assert model_figures["n_spiking_neurons"] == 11394
    assert model_figures["firing_rate"].item() == pytest.approx(0.29380378127098083, rel=1e-6)


def test_the_tutorial_of_the_hooks_trains_a_hundred_times():
    model = network()
    register_synops_hooks(model)
    for key in SPIKING:
        model[key].register_forward_hook(firing_rate_per_neuron_hook)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    synops = {key: [] for key in LAYERS}
    for _ in range(100):
        reset_states(model)
        detach_states(model)
        optimizer.zero_grad()
        model(data())
        loss = 0.01 * layer_synops_loss(model, 1e5) + firing_rate_loss(model, 0.5)
        loss.backward()
        optimizer.step()
        for key, value in model.hook_data["synops_per_timestep"].items():
            synops[key].append(value.item())
    assert set(synops[1]) == {230400.0}
    assert synops[4][-1] < 0.5 * synops[4][0]


def test_the_tutorial_of_the_analyzer_trains_a_hundred_times():
    model = network()
    analyzer = SNNAnalyzer(model)
    model(data())
    target = 0.5 * analyzer.get_model_statistics()["synops"].detach_()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    synops = []
    for _ in range(100):
        reset_states(model)
        optimizer.zero_grad()
        model(data())
        now = analyzer.get_model_statistics()["synops"]
        analyzer.get_model_statistics(average=True)
        ((target - now).square() / target.square()).backward()
        optimizer.step()
        synops.append(now.item())
    assert abs(synops[-1] / target.item() - 1) < 0.2 * abs(synops[0] / target.item() - 1)

import pytest
import torch
from torch import nn

from toolchain.nn import IAF
from toolchain.synops import (
    firing_rate_loss,
    firing_rate_per_neuron_hook,
    layer_synops_loss,
    register_synops_hooks,
    total_synops_loss,
)


@pytest.fixture
def model():
    """Two dense layers that see 3 and 6 spikes per step."""
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU(), nn.Linear(2, 5, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(1)
    register_synops_hooks(model)
    model(torch.ones(4, 3))
    return model  # 6 + 30 synops


def test_only_synops_above_the_target_cost(model):
    assert total_synops_loss(model, 30).item() == 36
    assert total_synops_loss(model, torch.tensor(40.0)).item() == 0


def test_layers_cost_each_for_itself(model):
    assert layer_synops_loss(model, 5).item() == 1 + 25**2
    assert layer_synops_loss(model, {2: 29}).item() == 1
    assert layer_synops_loss(model, {}).item() == 0


def test_gradients_are_twice_the_excess_times_the_synops_of_a_weight(model):
    layer_synops_loss(model, {2: 27.0}).backward()
    assert torch.equal(model[0].weight.grad, torch.full((2, 3), 2 * 3 * 5.0))


def test_neurons_below_the_rate_cost_each_for_itself():
    model = nn.Sequential(nn.Sequential(nn.Identity(), IAF()))
    model[0][1].register_forward_hook(firing_rate_per_neuron_hook)
    x = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 0.0, 1.0]]], requires_grad=True)
    model(x)
    loss = firing_rate_loss(model, 0.75)
    assert loss.item() == 0.25**2 + 0.75**2
    loss.backward()
    assert (x.grad <= 0).all()
    assert x.grad[..., 0].abs().sum() > 0
    assert x.grad[..., 2].abs().sum() == 0


def test_losses_say_what_is_missing(model):
    with pytest.raises(ValueError, match="no total_synops_per_timestep; use register_synops_hooks"):
        total_synops_loss(nn.ReLU(), 1)
    with pytest.raises(ValueError, match="no layer has firing rates"):
        firing_rate_loss(model, 1)
    with pytest.raises(
        ValueError, match="target contains layer 1, but the counted layers are 0, 2"
    ):
        layer_synops_loss(model, {1: 3})

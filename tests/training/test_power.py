"""Synaptic operations and power of a module's runs, held against the estimate."""

import numpy as np
import pytest
import torch

from tests.training.networks import CASES, dense, maps, spikes
from toolchain.training import ChipPower


@pytest.mark.parametrize("name", ["dense", "maps"])
def test_the_power_of_a_run_is_that_of_the_estimate_also_after_training(name):
    network, _ = CASES[name]
    d = network()
    x = spikes(*d.graph.shape(d.graph.input))
    module = d.as_module()
    power = ChipPower(module, x)
    before = d.estimate(x)
    assert power.start == before.dynamic_power.nominal
    with torch.no_grad():  # other zeros among the weights
        for parameter in module.parameters():
            parameter.mul_(torch.rand(parameter.shape) * 1.5)
    module.project()
    run = module.run(x, layers=power.layers)
    after = module.deployment().estimate(x)
    assert after.dynamic_power.nominal != before.dynamic_power.nominal
    assert power(run).item() == pytest.approx(after.dynamic_power.nominal, rel=1e-5)
    assert power.synops(run).item() == pytest.approx(after.activity.synops_per_step, rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_target_is_held(name):
    network, timing = CASES[name]
    d = network()
    x = spikes(*d.graph.shape(d.graph.input))
    module = d.as_module(timing=timing)
    power = ChipPower(module, x)
    target = power.floor + 0.5 * (power.start - power.floor)
    steps = {n: latent.parameter.step for n, latent in module.latents().items()}
    groups = [{"params": [p], "lr": 2.0 * steps[n]} for n, p in module.named_parameters()]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    for _ in range(40):
        optimizer.zero_grad()
        power.power_loss(module.run(x, layers=power.layers), target).backward()
        optimizer.step()
        schedule.step()
    found = module.deployment().estimate(x).dynamic_power.nominal
    assert found == pytest.approx(target, rel=0.05)


def test_gradients_of_counts_are_differences_of_the_counts():
    d = maps()
    x = torch.tensor(spikes(2, 6, 6), dtype=torch.float32)
    module = d.as_module()
    power = ChipPower(module, x)
    run = module.run(x, layers=power.layers)
    layer = run.layers["if1"]
    (slope,) = torch.autograd.grad(power.synops(run), layer)
    steps = x.shape[0] * x.shape[1]
    # one more spike of a neuron of the first layer reaches each of the five outputs once
    assert torch.equal(torch.round(slope * steps), torch.full(layer.shape, 5.0))
    assert power.synops_loss(run, 2 * power.synops(run).item()).item() == pytest.approx(0.25)


def test_what_cannot_be_reached_or_counted_is_refused():
    d = dense()
    x = spikes(6)
    module = d.as_module()
    power = ChipPower(module, x)
    assert 0 < power.floor < power.start
    with pytest.raises(ValueError, match=r"µW remain without a spike of any layer"):
        power.power_loss(module.run(x, layers=power.layers), 0.5 * power.floor)
    with pytest.raises(ValueError, match="the run lacks the spikes of layer 'forward'"):
        power(module.run(x))
    silent = module.run(np.zeros_like(x), layers=power.layers)
    assert power(silent).item() < power.start

"""Surrogate gradients: worked values, and that backward uses them."""

import math

import pytest
import torch

from tests.cases import each
from toolchain import nn


def at(surrogate, v, threshold=1.0):
    return float(surrogate(torch.tensor(v), torch.tensor(threshold)))


@each(
    ("surrogate", "v", "value"),
    [
        (nn.SingleExponential(), 1.0, 2.0),
        (nn.SingleExponential(), 0.5, 2 * math.exp(-1)),
        (nn.SingleExponential(grad_width=1.0, grad_scale=3.0), 2.0, 3 * math.exp(-1)),
        (nn.PeriodicExponential(), 1.0, 1.0),
        (nn.PeriodicExponential(), 2.0, 1.0),
        (nn.PeriodicExponential(), 1.5, math.exp(-2)),
        (nn.PeriodicExponential(), 0.0, math.exp(-2)),
        (nn.PeriodicExponential(), -1.0, math.exp(-4)),
        (nn.PeriodicExponentialTorch(), 1.5, math.exp(-1)),
        (nn.PeriodicExponentialTorch(), 0.0, math.exp(-2)),
        (nn.PeriodicExponentialTorch(max_spikes=2), 3.0, math.exp(-2)),
        (nn.StepPWL(), 0.5, 1.0),
        (nn.StepPWL(), 0.25, 0.0),
        (nn.Heaviside(window=0.5), 0.5, 1.0),
        (nn.Heaviside(window=0.5), 0.25, 0.0),
        (nn.Boxcar(width=1.0, height=2.0), 1.5, 2.0),
        (nn.Boxcar(width=1.0, height=2.0), 1.75, 0.0),
        (nn.Ramp(), -0.25, 0.0),
        (nn.Ramp(), 0.25, 0.25),
        (nn.Ramp(), 40.0, 1.0),
        (nn.Ramp(max_spikes=2), 3.5, 1.0),
        (nn.Ramp(max_spikes=2), 3.75, 0.0),
    ],
)
def test_worked_values(surrogate, v, value):
    assert at(surrogate, v) == pytest.approx(value, rel=1e-6)


def test_the_multi_gaussian_integrates_to_one_minus_its_sides():
    v = torch.linspace(-40, 42, 200_001, dtype=torch.double)
    area = torch.trapezoid(nn.MultiGaussian()(v, torch.tensor(1.0)), v)
    assert float(area) == pytest.approx(1 + 0.15 - 2 * 0.15, rel=1e-6)
    assert at(nn.MultiGaussian(), 2.5) < 0 < at(nn.MultiGaussian(), 1.0)


@pytest.mark.parametrize("spike_fn", [nn.MultiSpike, nn.SingleSpike, nn.MaxSpike(2)])
def test_backward_is_the_surrogate(spike_fn):
    surrogate = nn.Boxcar(width=1.0, height=3.0)
    v = torch.tensor([0.2, 0.7, 1.2, 3.0], requires_grad=True)
    spike_fn.apply(v, torch.tensor(1.0), surrogate).sum().backward()
    assert v.grad.tolist() == [0, 3, 3, 0]


def test_the_gradient_of_the_threshold_is_that_of_a_ratio():
    v, threshold = torch.tensor([0.7, 3.0]), torch.tensor(2.0, requires_grad=True)
    nn.MultiSpike.apply(v, threshold, nn.Heaviside(window=5.0)).sum().backward()
    assert float(threshold.grad) == pytest.approx(-(0.7 + 3.0) / 2 / 2)


def test_a_ramp_is_relative_to_the_threshold():
    v = torch.tensor([1.0, 2.0, 20.0], dtype=torch.double)
    threshold = torch.tensor([4.0, 0.5, 2.0], dtype=torch.double)
    assert nn.Ramp(max_spikes=3)(v, threshold).tolist() == [0.0625, 2.0, 0.0]


def test_a_layer_learns_through_the_ramp():
    layer = nn.IAF(surrogate_grad_fn=nn.Ramp())
    data = torch.tensor([0.25, 0.5]).reshape(1, 2, 1).requires_grad_()
    layer(data).sum().backward()
    # membranes 0.25 and 0.75; the second sees the first through the membrane and its reset
    assert data.grad.flatten().tolist() == [0.25 + (1 - 0.25) * 0.75, 0.75]

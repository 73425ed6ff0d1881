"""NeuromorphicReLU: whole numbers forward, a ReLU backward, and its activity."""

import copy

import pytest
import torch

from toolchain import nn


def test_worked_values():
    layer = nn.NeuromorphicReLU(fanout=7)
    x = torch.tensor([[1.7, -0.5, 2.5], [0.9, 3.0, 3.99]], requires_grad=True)
    out = layer(x)
    assert out.tolist() == [[1, 0, 2], [0, 3, 3]]
    assert layer.activity.item() == pytest.approx(31.5)
    out.sum().backward()
    assert x.grad.tolist() == [[1, 0, 1], [1, 1, 1]]


def test_stochastic_rounding_keeps_the_mean_and_is_off_in_evaluation():
    torch.manual_seed(0)
    layer = nn.NeuromorphicReLU(stochastic_rounding=True)
    x = torch.full((20_000,), 2.3)
    assert set(layer(x).unique().tolist()) == {2, 3}
    assert layer(x).mean().item() == pytest.approx(2.3, abs=0.02)
    assert layer.eval()(x).unique().tolist() == [2]


def test_activity_is_part_of_the_graph_and_no_obstacle_to_copies():
    layer = nn.NeuromorphicReLU()
    x = torch.rand(2, 3, requires_grad=True)
    layer(5 * x)
    assert copy.deepcopy(layer).activity.item() == layer.activity.item()
    layer.activity.backward()
    torch.testing.assert_close(x.grad, torch.full((2, 3), 2.5))

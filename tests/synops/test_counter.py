import pytest
import torch
from torch import nn

from toolchain.nn import NeuromorphicReLU
from toolchain.synops import SynOpCounter


def model():
    return nn.Sequential(
        NeuromorphicReLU(fanout=7),
        nn.Sequential(NeuromorphicReLU(fanout=2)),
        NeuromorphicReLU(fanout=0),
    )


def test_activities_add_up_or_come_one_by_one():
    net = model()
    x = torch.tensor([[1.7, -0.5, 2.5], [0.9, 3, 3.99]], requires_grad=True)
    net(x)
    total = SynOpCounter(net.modules())()
    assert total.item() == 31.5 + 9
    assert [one.item() for one in SynOpCounter(net.modules(), sum_activations=False)()] == [31.5, 9]
    total.backward()
    assert x.grad.abs().sum() > 0


def test_a_counter_needs_layers_and_a_pass():
    with pytest.raises(ValueError, match="no NeuromorphicReLU with a fanout above 0"):
        SynOpCounter(nn.Sequential(nn.ReLU()).modules())
    with pytest.raises(ValueError, match="no activity yet"):
        SynOpCounter(model().modules())()

"""Recurrent connections of several layers, and layers that move channels, as parts of a Graph."""

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from toolchain import deploy, nn
from toolchain.frontends import extract
from toolchain.ir import Flatten, Linear, Pad, Reshape
from toolchain.runs.interpret import interpret


def steep(module):
    """Return the module with weights that differ and matter."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        torch_nn.init.uniform_(parameter, -0.5, 0.6)
    return module


BACK = {
    "dense": lambda: (torch_nn.Flatten(), torch_nn.Linear(12, 12), torch_nn.Dropout()),
    "two": lambda: (torch_nn.Flatten(), torch_nn.Linear(12, 5), torch_nn.Linear(5, 12)),
    "shaped": lambda: (
        torch_nn.Flatten(),
        torch_nn.Linear(12, 12, bias=False),
        torch_nn.Unflatten(1, (3, 2, 2)),
    ),
    "map": lambda: (torch_nn.Conv2d(3, 3, 3, padding=1), torch_nn.BatchNorm2d(3)),
    "last axis": lambda: (torch_nn.Linear(2, 2),),
}


@pytest.mark.parametrize("name", BACK)
def test_feedback_of_linear_layers_is_one_dense_weight(name):
    layer = nn.IAFRecurrent(steep(torch_nn.Sequential(*BACK[name]())), min_v_mem=-1.0).eval()
    data = (torch.rand(2, 40, 3, 2, 2) < 0.4).float()
    graph = extract(layer, data)
    kinds = [type(node) for node in graph.nodes.values()]
    assert [kinds.count(kind) for kind in (Flatten, Linear, Reshape)] == [1, 1, 1]
    wanted = layer.double()(data.double()).detach().numpy()
    assert wanted.any()
    np.testing.assert_array_equal(interpret(graph, data.numpy()).spikes, wanted)


def test_recurrent_neurons_on_two_axes_deploy_as_those_on_one():
    back = steep(torch_nn.Linear(12, 12, bias=False))
    ends = [steep(torch_nn.Linear(*size, bias=False)) for size in ((8, 12), (12, 4))]
    lif = {"tau_mem": 10.0, "tau_syn": 5.0, "norm_input": False, "spike_fn": nn.MaxSpike(31)}

    def network(before, rec_connect, after):
        layers = ends[0], *before, nn.LIFRecurrent(rec_connect=rec_connect, **lif), *after
        return torch_nn.Sequential(*layers, ends[1], nn.LIF(**lif))

    flat = torch_nn.Sequential(torch_nn.Flatten(), back)
    split = network([torch_nn.Unflatten(2, (2, 6))], flat, [torch_nn.Flatten(2)])
    data = (torch.rand(2, 40, 8) < 0.3).float()
    runs = [
        deploy(each, "xylo_audio_3", sample=data, dt=1e-2, calibration=data).simulate(data).spikes
        for each in (network([], back, []), split)
    ]
    assert runs[0].any()
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        (nn.ChannelShift(2), 6),
        (nn.ChannelShift(-1), 3),
        (nn.Cropping2dLayer(((1, 0), (0, 1))), 4),
    ],
)
def test_shifted_and_cropped_channels_deploy_exactly(layer, channels):
    net = torch_nn.Sequential(
        *(torch_nn.Conv2d(2, 4, 3, bias=False), nn.IAFSqueeze(2, min_v_mem=-1.0), layer),
        *(torch_nn.Conv2d(channels, 3, 2, bias=False), nn.IAFSqueeze(2, min_v_mem=-1.0)),
    )
    rows = (torch.rand(20, 2, 7, 7) < 0.3).float()
    graph = extract(steep(net), rows)
    assert [type(node) for node in graph.nodes.values()].count(Pad) == 1
    deployed = deploy(graph, "speck", calibration=rows.reshape(2, 10, 2, 7, 7).numpy())
    assert set(deployed.placement) == {"1", "4"}

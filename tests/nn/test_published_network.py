"""The network of sinabs' synops tutorial gives the spike counts published for it."""

import torch
from torch import nn as torch_nn

from toolchain import nn
from toolchain.frontends import extract
from toolchain.ir import Neuron
from toolchain.runs.interpret import interpret


def test_the_tutorial_network_gives_its_published_spike_counts():
    torch.manual_seed(1)
    spiking = {"batch_size": 5}
    model = torch_nn.Sequential(
        nn.FlattenTime(),
        torch_nn.Conv2d(1, 16, 5, bias=False),
        nn.IAFSqueeze(**spiking),
        nn.SumPool2d(2),
        torch_nn.Conv2d(16, 32, 5, bias=False),
        nn.IAFSqueeze(**spiking),
        nn.SumPool2d(2),
        torch_nn.Conv2d(32, 120, 4, bias=False),
        nn.IAFSqueeze(**spiking),
        torch_nn.Flatten(),
        torch_nn.Linear(120, 10, bias=False),
        nn.IAFSqueeze(**spiking),
        nn.UnflattenTime(5),
    )
    x = torch.ones(5, 10, 1, 28, 28)
    counts = []
    for layer in model:
        if isinstance(layer, nn.IAF):
            layer.register_forward_hook(lambda *given: counts.append(int(given[-1].sum())))
    out = model(x)
    assert counts == [126720, 36800, 3655, 205]
    assert out.sum((0, 1)).tolist() == [30, 20, 50, 10, 0, 5, 70, 20, 0, 0]

    graph = extract(model, x[:, :3], check=False)
    assert len(graph.of(Neuron)) == 4
    layers = interpret(graph, x.numpy(), record=True).layers
    assert [int(layers[name].spikes.sum()) for name in graph.of(Neuron)] == counts[:4]

"""Networks with several outputs, by name and in the order in which the model returns them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from toolchain import deploy, nn
from toolchain.diagnostics import ExtractError
from toolchain.frontends import extract


def iaf():
    return nn.IAFSqueeze(batch_size=2, min_v_mem=-1.0)


class Heads(torch_nn.Module):
    """A trunk and heads at three depths; ``form`` is what the model returns."""

    def __init__(self, form):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.trunk = torch_nn.Conv2d(2, 4, 3, padding=1, bias=False), iaf()
        self.deep, self.spikes = torch_nn.Linear(256, 6, bias=False), iaf()
        self.last, self.a = torch_nn.Linear(6, 5, bias=False), iaf()
        self.side, self.b = torch_nn.Linear(256, 3, bias=False), iaf()
        self.pool = nn.SumPool2d(2)
        for layer in (self.conv, self.deep, self.last, self.side):
            layer.weight.data *= 4
        self.form = form

    def forward(self, x):
        maps = self.trunk(self.conv(x))
        features = maps.flatten(1)
        middle = self.spikes(self.deep(features))
        return self.form(self, maps, middle, self.a(self.last(middle)), self.b(self.side(features)))


class Pair(NamedTuple):
    label: Any
    rate: Any


@dataclass
class Result:
    label: Any
    rate: Any


def sample():
    torch.manual_seed(1)
    return (torch.rand(2 * 15, 2, 8, 8) < 0.2).float()


TAKEN = {
    "tuple": (lambda net, maps, mid, a, b: (a, b), ["a", "b"]),
    "the shallow head first": (lambda net, maps, mid, a, b: [b, a], ["b", "a"]),
    "dictionary": (lambda net, maps, mid, a, b: {"rate": b, "b": a}, ["rate", "b"]),
    "named tuple": (lambda net, maps, mid, a, b: Pair(a, b), ["label", "rate"]),
    "dataclass": (lambda net, maps, mid, a, b: Result(a, b), ["label", "rate"]),
    "nested": (lambda net, maps, mid, a, b: {"z": (a, b), "k": 3}, ["z.0", "z.1"]),
    "three": (lambda net, maps, mid, a, b: (a, b, mid), ["a", "b", "spikes"]),
    "a head that also feeds on": (lambda net, maps, mid, a, b: (mid, a), ["spikes", "a"]),
    "the trunk": (lambda net, maps, mid, a, b: (maps, a), ["trunk", "a"]),
    "one": (lambda net, maps, mid, a, b: {"only": a}, ["only"]),
    "twice": (lambda net, maps, mid, a, b: {"x": a, "y": a.view(-1, 5), "z": b}, ["x", "y", "z"]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_each_output_is_found_by_name_and_equals_the_model(name):
    form, names = TAKEN[name]
    net, x = Heads(form), sample()
    graph = extract(net, x, dt=1e-3)
    assert [*graph.output_names] == names
    nn.reset_states(net)
    with torch.no_grad():
        returned = net.double()(x.double())
    wanted = [*_tensors(returned)]
    spikes = x.reshape(2, 15, 2, 8, 8).numpy()
    deployment = deploy(graph, "speck", quantizer="common")
    run = deployment.reference(spikes)
    assert [*run.outputs] == names
    for got, own in zip(run.outputs.values(), wanted, strict=True):
        np.testing.assert_array_equal(got.reshape(30, -1), own.reshape(30, -1).numpy())
        assert got.any()
    chip = deployment.simulate(spikes)
    assert {k: v.shape for k, v in chip.outputs.items()} == {
        k: v.shape for k, v in run.outputs.items()
    }
    distinct = {id(value): chip.outputs[key] for key, value in zip(names, wanted, strict=True)}
    if name != "twice":
        joined = np.concatenate([*distinct.values()], axis=2)
        np.testing.assert_array_equal(chip.spikes, joined)
    quantized = deployment.reference_quantized(spikes)
    for key in names:
        np.testing.assert_array_equal(chip.outputs[key], quantized.outputs[key])
    assert deployment.compare(spikes).agreement["clocked"] > 0.5


def _tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Result):
        yield from (value.label, value.rate)
    elif isinstance(value, dict | tuple | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


REFUSED = {
    "a rate": (
        lambda net, maps, mid, a, b: {"label": a, "rate": b.mean(0)},
        r"returned\['rate'\] \(the result of torch.Tensor.mean at .*\) is not the spikes",
    ),
    "weights without neurons": (
        lambda net, maps, mid, a, b: (a, net.last(mid)),
        r"returned\[1\] \(the result of layer 'last' \(Linear\)\) is not the spikes of a layer",
    ),
    "a pool behind a head": (
        lambda net, maps, mid, a, b: {"label": a, "map": net.pool(maps)},
        r"returned\['map'\] \(the result of layer 'pool' \(SumPool2d\)\) is not the spikes",
    ),
    "the sample": (
        lambda net, maps, mid, a, b: {"label": a, "rate": b, "input": net.seen},
        r"returned\['input'\] \(the sample\) is not the spikes of a layer",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_entries_that_are_no_spikes_are_refused_by_their_key(name):
    form, wanted = REFUSED[name]
    net = Heads(form)
    net.register_forward_pre_hook(lambda module, args: setattr(module, "seen", args[0]))
    with pytest.raises(ExtractError, match=wanted):
        extract(net, sample())

"""Networks written in two ways that compute the same deploy to Speck as the same program."""

import pytest
import torch
from torch import nn

from toolchain import deploy
from toolchain.nn import IAFSqueeze, SumPool2d

X = (torch.rand(20, 2, 16, 16, generator=torch.Generator().manual_seed(0)) < 0.1).float()


def iaf():
    return IAFSqueeze(batch_size=1, min_v_mem=-1.0)


def conv(inputs, outputs, size=3, **more):
    """Return a convolution with whole numbers in halves, the same at each call."""
    layer = nn.Conv2d(inputs, outputs, size, bias=False, **more)
    draw = torch.Generator().manual_seed(size)
    layer.weight.data = torch.randint(-2, 4, layer.weight.shape, generator=draw) / 2
    return layer


def dense():
    layer = nn.Linear(1024, 5, bias=False)
    draw = torch.Generator().manual_seed(0)
    layer.weight.data = torch.randint(-2, 4, layer.weight.shape, generator=draw) / 2
    return layer


class Written(nn.Module):
    """A first convolution with neurons, and a function of its spikes that drives others."""

    def __init__(self, function, *layers):
        super().__init__()
        self.first, self.spikes = conv(2, 4, padding=1), iaf()
        self.layers, self.last, self.function = nn.ModuleList(layers), iaf(), function

    def forward(self, x):
        return self.last(self.function(self.spikes(self.first(x)), *self.layers))


def pooled():
    """Return the convolution that a convolution and a sum pool of 2 behind it are."""
    inner, outer = conv(2, 4, padding=1), nn.Conv2d(2, 4, 4, padding=1, stride=2, bias=False)
    outer.weight.data.zero_()
    for y in (0, 1):
        for x in (0, 1):
            outer.weight.data[:, :, y : y + 3, x : x + 3] += inner.weight.data
    return outer


def with_its_input():
    """Return the convolution whose output is that of ``conv`` and its input added."""
    layer = conv(4, 4, padding=1)
    layer.weight.data[range(4), range(4), 1, 1] += 1
    return layer


def halved():
    layer = conv(2, 4, padding=1)
    layer.weight.data *= 0.5
    return layer


class Half(nn.Module):
    def forward(self, x):
        return x * 0.5


def first(*layers):
    return nn.Sequential(*layers, iaf())


PAIRS = {
    "flatten before neurons": (
        nn.Sequential(conv(2, 4, padding=1), nn.Flatten(), iaf(), dense(), iaf()),
        nn.Sequential(conv(2, 4, padding=1), iaf(), nn.Flatten(), dense(), iaf()),
    ),
    "pool of one at the input": (first(SumPool2d(1), conv(2, 4)), first(conv(2, 4))),
    "pool of one at the output": (
        nn.Sequential(conv(2, 4), iaf(), nn.AvgPool2d(1)),
        first(conv(2, 4)),
    ),
    "pool before neurons": (first(conv(2, 4, padding=1), SumPool2d(2)), first(pooled())),
    "residual": (
        Written(lambda a, c: c(a) + a, conv(4, 4, padding=1)),
        Written(lambda a, c: c(a), with_its_input()),
    ),
    "factor on the input": (first(Half(), conv(2, 4, padding=1)), first(halved())),
    "flattened, then added": (
        Written(lambda a, f: f(a.flatten(1) + a.flatten(1)), dense()),
        Written(lambda a, f: f((a + a).flatten(1)), dense()),
    ),
}


@pytest.mark.parametrize(("written", "plain"), PAIRS.values(), ids=PAIRS)
def test_both_ways_are_the_same_program(written, plain):
    one, other = (deploy(net, "speck2f", sample=X) for net in (written, plain))
    assert [*one.placement.values()] == [*other.placement.values()]
    for mine, theirs in zip(one.program.cores, other.program.cores, strict=True):
        assert (mine.stride, mine.threshold_high) == (theirs.stride, theirs.threshold_high)
        assert mine.weight.tolist() == theirs.weight.tolist()
    spikes = X.numpy().astype(int)[None]
    run = one.simulate(spikes)
    assert run.spikes.any()
    assert (run.spikes == other.simulate(spikes).spikes).all()
    assert (run.spikes == one.reference(spikes).spikes).all()

"""Random regions of linear layers as users write them in torch: extracted, merged, compared."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from toolchain import extract
from toolchain.ir import Neuron
from toolchain.nn import IAFSqueeze, SumPool2d
from toolchain.passes.exact import EXACT_PASSES
from toolchain.runs.interpret import interpret

REGIONS = 2000
STEPS, SHAPE = 6, (2, 8, 8)
OUT_OF_REACH = 2.0**40
"""Threshold at which membranes hold the sum of all that arrives."""

pytestmark = pytest.mark.campaign


class Apply(nn.Module):
    """A function of the features, with the layers that it uses."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleDict(layers)

    def forward(self, x):
        return self.function(x, **self.layers)


class Operations:
    """Draws operations that fit maps of a shape, with whole or real numbers."""

    def __init__(self, rng, whole):
        self.rng, self.whole = rng, whole

    def filled(self, layer):
        for value in layer.parameters():
            size = tuple(value.shape)
            new = self.rng.integers(-2, 3, size) if self.whole else self.rng.normal(0, 0.5, size)
            value.data = torch.as_tensor(np.asarray(new), dtype=torch.float64)
        return layer

    def conv(self, channels, out=None, size=3, **more):
        bias = bool(self.rng.integers(2))
        return self.filled(nn.Conv2d(channels, out or channels, size, bias=bias, **more))

    def norm(self, channels):
        layer = nn.BatchNorm2d(channels, eps=0.0)
        for name in ("weight", "bias", "running_mean"):
            new = self.rng.integers(-2, 3, channels)
            getattr(layer, name).data = torch.as_tensor(new, dtype=torch.float64)
        layer.running_var = torch.as_tensor(4.0 ** self.rng.integers(0, 2, channels))
        return layer

    def on_maps(self, channels, height, width):
        """Return the operations on a map, by name."""
        even = height % 2 == width % 2 == 0
        found = {
            "convolution": lambda: self.conv(channels, 3),
            "functional convolution": lambda: Apply(
                lambda x, c: F.conv2d(x, c.weight, padding=1), c=self.conv(channels)
            ),
            "strided convolution": lambda: self.conv(channels, stride=2, padding=1),
            "dilated convolution": lambda: self.conv(channels, dilation=2, padding=2),
            "grouped convolution": lambda: self.conv(channels, groups=channels, padding=1),
            "transposed convolution": lambda: self.filled(
                nn.ConvTranspose2d(channels, 2, 2, stride=int(self.rng.integers(1, 3)))
            ),
            "convolution of one axis": lambda: Apply(
                lambda x, c: c(x.flatten(2)).unsqueeze(2),
                c=self.filled(nn.Conv1d(channels, 2, 3, bias=False)),
            ),
            "batch norm": lambda: self.norm(channels),
            "constant factor": lambda: Apply(lambda x: x * 0.5),
            "division": lambda: Apply(lambda x: x / 4),
            "negation": lambda: Apply(lambda x: -x),
            "pool of one": lambda: SumPool2d(1),
            "zero padding": lambda: nn.ZeroPad2d((1, 0, 2, 1)),
            "functional padding": lambda: Apply(lambda x: F.pad(x, (1, 1, 1, 1))),
            "crop": lambda: Apply(lambda x: x[:, :, 1:, : width - 1]),
            "flatten and unflatten": lambda: Apply(
                lambda x: x.flatten(1).unflatten(1, (channels, height, width))
            ),
            "reshape": lambda: Apply(lambda x: x.reshape(-1, height, channels, width)),
            "unsqueeze and squeeze": lambda: Apply(lambda x: x.unsqueeze(2).squeeze(2)),
            "concatenation": lambda: Apply(
                lambda x, c: torch.cat([c(x), x], 1), c=self.conv(channels, padding=1)
            ),
            "sum of branches": lambda: Apply(
                lambda x, c: c(x) + x, c=self.conv(channels, padding=1)
            ),
            "parallel weights": lambda: Apply(
                lambda x, a, b: a(x) + b(x), a=self.conv(channels), b=self.conv(channels)
            ),
            "dropout": lambda: nn.Dropout(0.5),
        }
        if even:
            found |= {
                "average pool": lambda: nn.AvgPool2d(2),
                "functional pool": lambda: Apply(lambda x: F.avg_pool2d(x, 2)),
                "adaptive pool": lambda: nn.AdaptiveAvgPool2d((height // 2, width // 2)),
                "pool with ceil_mode": lambda: nn.AvgPool2d(2, ceil_mode=True),
                "sum pool": lambda: SumPool2d(2),
            }
        return found


def region(seed, whole):
    """Return the layers, and the names of their operations, with a dense layer for one in three."""
    rng = np.random.default_rng([seed, whole])
    operations, layers, used = Operations(rng, whole), [], []
    x = torch.zeros(1, *SHAPE, dtype=torch.float64)
    for _ in range(rng.integers(2, 6)):
        channels, height, width = x.shape[1:]
        if min(height, width) < 5 or x.numel() > 2000:
            break
        found = operations.on_maps(channels, height, width)
        name = rng.choice([*found])
        layers.append(found[name]())
        used.append(str(name))
        x = layers[-1].eval()(x)
    if rng.integers(3) == 0:
        layers += [nn.Flatten(), operations.filled(nn.Linear(x[0].numel(), 4, bias=False))]
        used.append("dense")
    return nn.Sequential(*layers).double().eval(), used


def merged(graph):
    for step in EXACT_PASSES:
        graph = step(graph)
    return graph


def sizes_within(got, wanted):
    """Return the largest difference over the largest number."""
    return np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max())


def test_every_operation_as_it_is_written_in_a_hundred_random_regions():
    counts, largest, spikes = Counter(), 0.0, 0
    for seed in range(REGIONS):
        whole = bool(seed % 2)
        linear, used = region(seed, whole)
        threshold = 8.0 if whole else OUT_OF_REACH
        neurons = partial(IAFSqueeze, batch_size=1, spike_threshold=threshold)
        net = nn.Sequential(linear, neurons()).double()
        raster = np.random.default_rng(seed).poisson(0.5, (STEPS, *SHAPE)).astype(np.float64)
        x = torch.as_tensor(raster)
        after = merged(extract(net, x, check=False))
        counts.update(set(used))
        (name,) = after.of(Neuron)
        run = interpret(after, raster[None], record=True)
        if whole:
            wanted = neurons().double()(linear(x)).detach().numpy()
            assert np.array_equal(run.spikes.ravel(), wanted.ravel()), (seed, used)
            spikes += int(wanted.sum())
        else:
            wanted = linear(x).cumsum(0).detach().numpy()
            apart = sizes_within(run.layers[name].v_mem.ravel(), wanted.ravel())
            largest = max(largest, apart)
            assert apart < 1e-9, (seed, used, apart)
    print(f"\n{REGIONS} regions in torch: largest relative difference {largest:.1e}, ", end="")
    print(f"0 of {spikes} spikes differ with whole numbers")
    for name, count in sorted(counts.items()):
        print(f"{count:6} {name}")
    assert spikes > 10_000
    assert min(counts.values()) >= 100
    assert len(counts) == 28

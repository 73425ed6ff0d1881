"""Branched networks of sinabs' layers: on the chip they spike as sinabs' discretized layers do."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.speck_quantizers import by_sinabs
from toolchain import deploy

STEPS = 30

pytestmark = [
    pytest.mark.conformance,
    # Said by the package under comparison, not by this project.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def conv(outputs, inputs, kernel=3, **how):
    return nn.Conv2d(inputs, outputs, kernel, bias=False, **how)


def dense(outputs, inputs):
    return nn.Linear(inputs, outputs, bias=False)


class Branched(nn.Module):
    """Weights with neurons behind each, and a forward pass by the name of the network."""

    def __init__(self, run, **weights):
        import sinabs.layers as sl

        super().__init__()
        torch.manual_seed(0)
        self.run, self.weights = run, nn.ModuleDict(weights)
        for weight in weights.values():
            nn.init.normal_(weight.weight, 0.05, 1.5 / weight.weight[0].numel() ** 0.5)
        self.spiking = nn.ModuleDict(
            {
                name: sl.IAFSqueeze(batch_size=1, spike_threshold=torch.tensor(1.0), min_v_mem=-1.0)
                for name in weights
            }
        )
        self.sum2, self.sum4, self.merge = sl.SumPool2d(2), sl.SumPool2d(4), sl.Merge()
        self.more = nn.ModuleList([sl.Merge(), sl.Merge()])
        self.flat = nn.ModuleList([nn.Flatten() for _ in range(3)])

    def layer(self, name, x):
        return self.spiking[name](self.weights[name](x))

    def forward(self, x):
        return self.run(self, x)

    def discretized(self):
        """Put in the integers that sinabs makes of each layer."""
        for name, weight in self.weights.items():
            values = weight.weight.detach().numpy()
            layer = {
                "weight": values if values.ndim == 4 else values[:, :, None, None],
                "threshold": np.float32(1.0),
                "floor": np.float32(-1.0),
            }
            found, neurons = by_sinabs(layer), self.spiking[name]
            with torch.no_grad():
                integers = np.asarray(found["weight"], np.float32).reshape(values.shape)
                weight.weight.copy_(torch.as_tensor(integers))
                neurons.spike_threshold = nn.Parameter(torch.tensor(float(found["threshold"])))
                neurons.min_v_mem = nn.Parameter(torch.tensor(float(found["floor"])))
            neurons.reset_states()
        return self


def two_pools(net, x):
    """One layer feeds two, each with a pool of its own; they meet behind another pool."""
    a = net.layer("a", x)
    b = net.layer("b", net.sum2(a))
    c = net.layer("c", net.sum4(a))
    both = net.merge(net.sum2(b), c)
    return net.layer("out", net.flat[0](both))


def flatten_then_merge(net, x):
    """Two branches are flattened, and then added up before a dense layer."""
    a = net.layer("a", x)
    b, c = net.layer("b", net.sum2(a)), net.layer("c", net.sum2(a))
    return net.layer("out", net.merge(net.flat[0](b), net.flat[1](c)))


def merge_of_three(net, x):
    a = net.layer("a", x)
    b, c = net.layer("b", a), net.layer("c", a)
    three = net.more[0](net.merge(b, c), net.layer("d", b))
    return net.layer("out", net.flat[0](net.sum4(three)))


def residual(net, x):
    a = net.layer("a", x)
    b = net.layer("b", a)
    c = net.layer("c", net.merge(a, b))
    return net.layer("out", net.flat[0](net.sum4(net.more[0](c, b))))


def dense_heads(net, x):
    """Two dense branches of one map, each with its layer, meet in the last one."""
    a = net.flat[0](net.sum4(net.layer("a", x)))
    b, c = net.layer("b", a), net.layer("c", a)
    return net.layer("out", net.merge(b, c))


NETWORKS = {
    two_pools: lambda: {
        "a": conv(3, 2, padding=1), "b": conv(4, 3, padding=1), "c": conv(4, 3, padding=1),
        "out": dense(5, 4 * 4 * 4),
    },
    flatten_then_merge: lambda: {
        "a": conv(3, 2, padding=1), "b": conv(4, 3), "c": conv(4, 3), "out": dense(5, 4 * 6 * 6),
    },
    merge_of_three: lambda: {
        "a": conv(3, 2, padding=1), "b": conv(3, 3, padding=1), "c": conv(3, 3, padding=1),
        "d": conv(3, 3, padding=1), "out": dense(5, 3 * 4 * 4),
    },
    residual: lambda: {
        "a": conv(3, 2, padding=1), "b": conv(3, 3, padding=1), "c": conv(3, 3, padding=1),
        "out": dense(5, 3 * 4 * 4),
    },
    dense_heads: lambda: {
        "a": conv(3, 2, padding=1), "b": dense(6, 48), "c": dense(6, 48), "out": dense(5, 6),
    },
}  # fmt: skip


@pytest.mark.parametrize("run", NETWORKS, ids=lambda run: run.__name__)
def test_a_branched_network_spikes_as_the_discretized_layers_of_sinabs(run):
    net = Branched(run, **NETWORKS[run]()).requires_grad_(False)
    raster = np.random.default_rng(1).poisson(0.3, (1, STEPS, 2, 16, 16)).astype(np.float32)
    sample = torch.as_tensor(raster[0])
    deployed = deploy(net, "speck2f", sample=sample, quantizer="common")
    found = deployed.simulate(raster).spikes
    wanted = net.discretized()(sample).detach().numpy()
    np.testing.assert_array_equal(found.reshape(STEPS, -1), wanted.reshape(STEPS, -1))
    assert found.sum() > 20
    assert deployed.reference_quantized(raster).spikes.sum() == found.sum()

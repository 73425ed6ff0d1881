"""The conformance matrix of rockpool; needs requirements-rockpool.txt.

rockpool imports the chip vendor's package, whose public version installs another when imported; an
empty module in its place is all that these layers need.
"""

import sys
import types
import warnings

sys.modules["samna"] = types.ModuleType("samna")

import torch  # noqa: E402
from torch import nn  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from rockpool.nn.combinators import Residual, Sequential
    from rockpool.nn.modules import (
        ExpSynTorch,
        LIFBitshiftTorch,
        LIFNeuronTorch,
        LIFTorch,
        LinearTorch,
        RateTorch,
        TimeStepDropout,
        UnitDropout,
        aLIFTorch,
    )
    from rockpool.nn.modules.torch.lif_torch import PeriodicExponential
    from rockpool.nn.networks import WaveSenseNet
    from rockpool.nn.networks.synnet import SynNet

from tests.oracles.frameworks.harness import NEURONS, Case, main  # noqa: E402

N = NEURONS


def uniform(low, high, *shape):
    """One constant a neuron, or of ``shape``."""
    return torch.empty(*(shape or (N,))).uniform_(low, high)


def dense(outputs=N, gain=0.1, has_bias=False):
    """A LinearTorch of random weights."""
    weight = torch.randn(N, outputs) * gain
    options = {"bias": torch.randn(outputs) * 0.05, "has_bias": True} if has_bias else {}
    return LinearTorch((N, outputs), weight=weight, **options)


def lif(kind=LIFTorch, synapses=1, gain=0.1, **options):
    """What builds a linear layer and LIF neurons; options may be functions."""

    def build():
        given = {
            k: v() if callable(v) and k != "spike_generation_fn" else v for k, v in options.items()
        }
        return Sequential(dense(N * synapses, gain), kind((N * synapses, N), **given))

    return build


def used_before():
    """Layers that hold states of an earlier run."""
    model = lif()()
    model(torch.rand(3, 50, N))
    return model


def reset(model):
    model.reset_state()


def small_synnet(**options):
    """A SynNet of two hidden layers whose weights make it fire."""

    def build():
        net = SynNet(
            n_channels=N,
            n_classes=5,
            size_hidden_layers=[12, 10],
            time_constants_per_layer=[3, 2],
            **options,
        )
        for name in net.seq.modules():
            if name.endswith("linear"):
                net.seq[name].weight.data = net.seq[name].weight.data + 0.05
        return net

    return build


def wavesense():
    """Two blocks with a residual and a skip branch each."""
    net = WaveSenseNet(
        dilations=[2, 4],
        n_classes=5,
        n_channels_in=N,
        n_channels_res=8,
        n_channels_skip=8,
        n_hidden=8,
        neuron_model=LIFTorch,
        dt=1e-3,
    )
    for _, layer in net.named_modules():
        if isinstance(layer, LinearTorch):
            layer.weight.data = torch.randn(layer.weight.shape) * 0.03
    return net


class Membrane(nn.Module):
    """Gives the membrane of a layer whose spikes are not used."""

    def __init__(self):
        super().__init__()
        self.weight, self.neurons = dense(), LIFTorch((N, N))

    def forward(self, x):
        return self.neurons(self.weight(x)[0], record=True)[2]["vmem"]


class Mine(nn.Module):
    """rockpool's layers in a torch module of the user's own."""

    def __init__(self):
        super().__init__()
        self.weight, self.neurons = dense(), LIFTorch((N, N))

    def forward(self, x):
        x, _, _ = self.weight(x)
        return self.neurons(x)[0]


TAUS = {
    "tau_mem": lambda: uniform(2e-3, 3e-2),
    "tau_syn": lambda: uniform(2e-3, 3e-2, N, 1),
}
CONSTANTS = {"threshold": lambda: uniform(0.5, 2), "bias": lambda: torch.randn(N) * 0.05}

PASSING = [
    ("LIFTorch", lif()),
    ("LIFTorch vectors", lif(**TAUS, **CONSTANTS)),
    ("LIFTorch PeriodicExponential", lif(spike_generation_fn=PeriodicExponential)),
    ("LIFTorch dt", lif(dt=2.5e-3, **TAUS)),
    ("LIFTorch max_spikes_per_dt", lif(max_spikes_per_dt=2, gain=0.6, **TAUS)),
    ("LIFTorch one spike", lif(max_spikes_per_dt=1, gain=0.6, tau_mem=5e-3, tau_syn=3e-3)),
    ("LIFTorch decays", lif(leak_mode="decays", gain=0.6, **CONSTANTS)),
    (
        "LIFTorch bitshifts",
        lif(
            leak_mode="bitshifts",
            dash_mem=lambda: torch.randint(1, 6, (N,)).float(),
            dash_syn=lambda: torch.randint(1, 6, (N, 1)).float(),
        ),
    ),
    ("LIFTorch two synapses", lif(synapses=2, tau_syn=lambda: uniform(2e-3, 3e-2, N, 2))),
    ("LIFTorch shared synapses", lif(synapses=2, tau_syn=lambda: uniform(2e-3, 3e-2, 1, 2))),
    (
        "LIFTorch w_rec",
        lif(has_rec=True, w_rec=lambda: torch.randn(N, N) * 0.02, **TAUS, **CONSTANTS),
    ),
    (
        "LIFTorch w_rec two synapses",
        lif(
            synapses=2,
            has_rec=True,
            w_rec=lambda: torch.randn(N, 2 * N) * 0.01,
            tau_mem=5e-3,
            tau_syn=lambda: uniform(2e-3, 6e-3, N, 2),
            gain=0.3,
        ),
    ),
    ("aLIFTorch", lif(aLIFTorch, gain=0.3)),
    (
        "aLIFTorch vectors",
        lif(
            aLIFTorch,
            gain=0.3,
            w_ahp=lambda: uniform(-1, 0.1),
            tau_ahp=lambda: uniform(2e-3, 3e-2),
            **TAUS,
            **CONSTANTS,
        ),
    ),
    (
        "aLIFTorch decays w_rec two synapses",
        lif(
            aLIFTorch,
            synapses=2,
            has_rec=True,
            w_rec=lambda: torch.randn(N, 2 * N) * 0.01,
            leak_mode="decays",
            gain=0.6,
            w_ahp=lambda: uniform(-1, 0),
            max_spikes_per_dt=3,
        ),
    ),
    ("LIFTorch used before", used_before),
    (
        "LIFNeuronTorch",
        lambda: Sequential(dense(), LIFNeuronTorch((N,), tau_mem=uniform(2e-3, 3e-2))),
    ),
    ("LIFBitshiftTorch", lif(LIFBitshiftTorch, tau_mem=1e-2, tau_syn=5e-3)),
    ("ExpSynTorch", lambda: Sequential(dense(), ExpSynTorch((N,), tau=uniform(2e-3, 3e-2)))),
    (
        "ExpSynTorch and LIFNeuronTorch",
        lambda: Sequential(
            dense(has_bias=True),
            ExpSynTorch((N,)),
            LIFNeuronTorch((N,), bias=torch.randn(N) * 0.05),
        ),
    ),
    (
        "dropout",
        lambda: Sequential(
            dense(), TimeStepDropout((N,)), LIFTorch((N, N)), UnitDropout((N,)), dense()
        ),
    ),
    (
        "nested Sequential",
        lambda: Sequential(
            Sequential(dense(), LIFTorch((N, N))), Sequential(dense(8), LIFTorch((8, 8)))
        ),
    ),
    (
        "Residual",
        lambda: Sequential(Residual(dense(), LIFTorch((N, N))), dense(gain=0.05), LIFTorch((N, N))),
    ),
    ("torch module", Mine),
    ("SynNet", small_synnet()),
    ("SynNet options", small_synnet(p_dropout=0.2, max_spikes_per_dt_out=4, threshold_out=0.5)),
    ("SynNet vmem", small_synnet(output="vmem")),
    ("WaveSenseNet", wavesense),
]


class Halved(LIFTorch):
    """A subclass that computes something else."""

    def forward(self, data):
        return super().forward(data / 2)


class Steps(torch.autograd.Function):
    """A spike function of the user's own."""

    @staticmethod
    def forward(ctx, x, threshold, window, most):
        return (x > threshold).to(x)


REFUSED = [
    (
        "RateTorch",
        lambda: Sequential(dense(), RateTorch((N,))),
        "layer '1_RateTorch' (RateTorch): its output is a rate, not spikes; use LIFTorch",
    ),
    (
        "LIFTorch noise",
        lif(noise_std=0.1),
        "layer '1_LIFTorch' (LIFTorch): noise_std is 0.1; a chip draws no noise, so set it to 0 "
        "first",
    ),
    (
        "spike_generation_fn of the user's own",
        lif(spike_generation_fn=Steps),
        "layer '1_LIFTorch' (LIFTorch): spike_generation_fn is Steps; supported are StepPWL and "
        "PeriodicExponential",
    ),
    (
        "threshold 0",
        lif(threshold=0.0),
        "layer '1_LIFTorch' (LIFTorch): Neuron.v_threshold must be > 0, got 0",
    ),
    (
        "two dt",
        lambda: Sequential(dense(), LIFTorch((N, N)), dense(), LIFTorch((N, N), dt=1e-2)),
        "dt of layer '1_LIFTorch' is 0.001 s, dt of layer '3_LIFTorch' is 0.01 s; they must be "
        "equal",
    ),
    (
        "membrane of a layer that fires",
        Membrane,
        "layer 'neurons' (LIFTorch): the network uses its membrane, on which its spikes act; build "
        "it without reset and recurrence, or use its spikes",
    ),
    (
        "subclass with a forward of its own",
        lif(Halved),
        "layer '1_Halved' (Halved): overrides LIFTorch.forward, so its parameters no longer "
        "describe it",
    ),
]

CASES = [
    Case(name=name, build=build, reset=reset if "before" in name else None)
    for name, build in PASSING
]
CASES += [Case(name=name, build=build, refused=told) for name, build, told in REFUSED]

if __name__ == "__main__":
    main("rockpool", CASES)

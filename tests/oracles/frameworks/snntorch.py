"""snnTorch 1.0.0: every neuron with its options, in the loops over time that its users write."""

from functools import partial

import snntorch as snn
import torch
from snntorch import spikegen, surrogate, utils
from torch import nn

from tests.oracles.frameworks import forms
from tests.oracles.frameworks.harness import Case, main


class Loop(nn.Module):
    """Layers one after the other in each step of (time, batch, ...), states handed on."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        states, out = [[] for _ in self.layers], []
        for step in x:
            for n, layer in enumerate(self.layers):
                made = layer(step, *states[n])
                if isinstance(layer, snn.SpikingNeuron):
                    step, *states[n] = made
                    if isinstance(layer, snn.RLeaky | snn.RSynaptic):
                        states[n] = made
                else:
                    step = made
            out.append(step)
        return torch.stack(out)


class Hidden(nn.Module):
    """A Sequential whose neurons keep their states themselves, as the loop outside calls it."""

    def __init__(self, *layers):
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        utils.reset(self.net)
        return torch.stack([self.net(x[t]) for t in range(len(x))])


class Joined(nn.Module):
    """The last spikes, joined to the input of each step; the state is an attribute."""

    def __init__(self):
        super().__init__()
        self.fc, self.lif, self.mem = linear(16, 32), snn.Leaky(beta=0.9, threshold=1.5), None

    def forward(self, x):
        if self.mem is None:
            self.mem = self.lif.init_leaky()
        spk, out = torch.zeros_like(x[0]), []
        for step in x:
            spk, self.mem = self.lif(self.fc(torch.cat([step, spk], 1)), self.mem)
            out.append(spk)
        return torch.stack(out)


class Encodes(nn.Module):
    """A network that draws its spikes itself."""

    def __init__(self):
        super().__init__()
        self.fc, self.lif = linear(), snn.Leaky(beta=0.9, init_hidden=True)

    def forward(self, x):
        return torch.stack([self.lif(self.fc(spikegen.rate(step / 9, 1)[0])) for step in x])


class Tutorial(nn.Module):
    """The network of snnTorch's tutorials; ``returns`` says which of spikes and membranes."""

    def __init__(self, returns, **last):
        super().__init__()
        self.fc1, self.lif1 = linear(), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = linear(4), snn.Leaky(beta=0.9, **last)
        self.returns = returns

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return self.returns(torch.stack(spikes, dim=0), torch.stack(membranes, dim=0))


class BatchFirst(nn.Module):
    """Over (batch, time, ...), with a recurrence written by hand and a skip around it."""

    def __init__(self):
        super().__init__()
        self.fc, self.rec, self.out = linear(), linear(scale=0.2), linear()
        self.inner, self.outer = snn.Synaptic(alpha=0.6, beta=0.8), snn.Leaky(beta=0.7)

    def forward(self, x):
        syn, mem = self.inner.init_synaptic()
        last, outer = torch.zeros(len(x), 16), self.outer.init_leaky()
        out = []
        for t in range(x.size(1)):
            last, syn, mem = self.inner(self.fc(x[:, t]) + self.rec(last), syn, mem)
            spk, outer = self.outer(self.out(last) + last, outer)
            out.append(spk)
        return torch.stack(out, dim=1)


class Leaking(Loop):
    """Hands the membrane of a spiking layer on."""

    def forward(self, x):
        mem, out = self.layers[1].init_leaky(), []
        for step in x:
            spk, mem = self.layers[1](self.layers[0](step), mem)
            out.append(self.layers[2](mem) + spk)
        return torch.stack(out)


class Twice(Loop):
    """Calls a neuron twice in each step."""

    def forward(self, x):
        mem, out = self.layers[1].init_leaky(), []
        for step in x:
            spk, mem = self.layers[1](self.layers[0](step), mem)
            spk, mem = self.layers[1](spk, mem)
            out.append(spk)
        return torch.stack(out)


def linear(outputs=16, inputs=16, scale=0.5):
    made = nn.Linear(inputs, outputs)
    nn.init.normal_(made.weight, 0.15, scale)
    return made


def drawn(low, high):
    return torch.empty(16).uniform_(low, high)


def recurrent(cls, *decays, **options):
    made = cls(*decays, linear_features=16, **options)
    nn.init.normal_(made.recurrent.weight, 0.0, 0.2)
    return made


def convolved():
    made = snn.RLeaky(0.8, conv2d_channels=3, kernel_size=3)
    nn.init.normal_(made.recurrent.weight, 0.0, 0.1)
    return [nn.Conv2d(2, 3, 3, padding=1), made, nn.AvgPool2d(2), nn.Flatten(), linear(16, 48)]


def one_to_one(cls, *decays):
    return cls(*decays, all_to_all=False, V=drawn(-0.5, 0.5))


def in_loop(*layers):
    return lambda: Loop(linear(), *(make() for make in layers))


ENCODED = Encodes.forward.__code__.co_firstlineno + 1

NEURONS = {
    "Leaky": lambda: snn.Leaky(0.9),
    "Leaky, reset to zero": lambda: snn.Leaky(0.9, reset_mechanism="zero"),
    "Leaky, no reset": lambda: snn.Leaky(0.6, reset_mechanism="none"),
    "Leaky, reset at once": lambda: snn.Leaky(0.9, reset_delay=False),
    "Leaky, reset to zero at once": lambda: snn.Leaky(
        0.9, reset_mechanism="zero", reset_delay=False
    ),
    "Leaky, all learned and per neuron": lambda: snn.Leaky(
        drawn(0.5, 0.99), threshold=drawn(0.5, 1.5), learn_beta=True, learn_threshold=True
    ),
    "Leaky, beta beyond 1": lambda: snn.Leaky(1.3),
    "Leaky, another surrogate": lambda: snn.Leaky(
        0.8, spike_grad=surrogate.fast_sigmoid(slope=25), surrogate_disable=True
    ),
    "Synaptic": lambda: snn.Synaptic(0.7, 0.9),
    "Synaptic, reset to zero": lambda: snn.Synaptic(0.7, 0.9, reset_mechanism="zero"),
    "Synaptic, no reset": lambda: snn.Synaptic(0.4, 0.5, reset_mechanism="none"),
    "Synaptic, reset at once": lambda: snn.Synaptic(0.7, 0.9, reset_delay=False),
    "Synaptic, reset to zero at once": lambda: snn.Synaptic(
        0.7, 0.9, reset_mechanism="zero", reset_delay=False
    ),
    "Synaptic, per neuron": lambda: snn.Synaptic(
        drawn(0.1, 0.9), drawn(0.5, 0.99), threshold=drawn(0.5, 2.0), learn_alpha=True
    ),
    "RLeaky": lambda: recurrent(snn.RLeaky, 0.9),
    "RLeaky, reset to zero": lambda: recurrent(snn.RLeaky, 0.9, reset_mechanism="zero"),
    "RLeaky, reset at once": lambda: recurrent(snn.RLeaky, 0.9, reset_delay=False),
    "RLeaky, one to one": lambda: one_to_one(snn.RLeaky, 0.9),
    "RSynaptic": lambda: recurrent(snn.RSynaptic, 0.7, 0.9),
    "RSynaptic, reset to zero": lambda: recurrent(snn.RSynaptic, 0.7, 0.9, reset_mechanism="zero"),
    "RSynaptic, one to one": lambda: one_to_one(snn.RSynaptic, 0.7, 0.9),
    "Lapicque": lambda: snn.Lapicque(beta=0.9, threshold=0.2),
    "Lapicque, R and C": lambda: snn.Lapicque(
        R=2.0, C=3.0, time_step=0.5, threshold=0.2, reset_mechanism="zero"
    ),
}

NETWORKS = {
    "joined feedback, state in an attribute": Joined,
    "graded spikes": lambda: Loop(
        linear(), snn.Leaky(0.9, graded_spikes_factor=drawn(0.2, 2.0)), linear(), snn.Leaky(0.8)
    ),
    "hidden states": lambda: Hidden(
        linear(),
        snn.Leaky(0.9, init_hidden=True),
        linear(),
        snn.Synaptic(0.5, 0.8, init_hidden=True),
    ),
    "spikes and membranes returned": lambda: Tutorial(
        lambda spikes, membranes: (spikes, membranes)
    ),
    "membranes of a layer without reset": lambda: Tutorial(
        lambda spikes, membranes: membranes, reset_mechanism="none"
    ),
}

REFUSALS = {
    "inhibition": (
        in_loop(lambda: snn.Leaky(0.9, inhibition=True)),
        "layer 'layers.1' (Leaky): inhibition=True lets only one neuron of the layer spike, which "
        "no supported chip can do; build it with inhibition=False",
    ),
    "state_quant": (
        in_loop(lambda: snn.Synaptic(0.7, 0.9, state_quant=lambda state: state)),
        "layer 'layers.1' (Synaptic): state_quant rounds the states in every step; build it with "
        "state_quant=False; deploy() applies the chip's rounding",
    ),
    "Alpha": (
        in_loop(lambda: snn.Alpha(alpha=0.9, beta=0.8)),
        "layer 'layers.1' (Alpha): its membrane is the difference of two currents, which no "
        "supported chip can do; use Synaptic",
    ),
    "SLSTM": (
        in_loop(lambda: snn.SLSTM(16, 16)),
        "layer 'layers.1' (SLSTM): gated recurrence has no spiking counterpart; use RLeaky or "
        "RSynaptic",
    ),
    "LeakyParallel": (
        lambda: snn.LeakyParallel(16, 16),
        "layer 'LeakyParallel' (LeakyParallel): it never resets, and runs over time at once; use "
        "Leaky in a loop over time",
    ),
    "GradedSpikes": (
        in_loop(lambda: snn.Leaky(0.9), lambda: snn.GradedSpikes(2, 0.5)),
        "layer 'layers.2' (GradedSpikes): it scales spikes by learned factors; scale the weights "
        "of the next layer",
    ),
    "RSynaptic, reset at once": (
        in_loop(lambda: recurrent(snn.RSynaptic, 0.7, 0.9, reset_delay=False)),
        "Loop fails on the sample of shape (200, 2, 16) in 'layers.1': TypeError: unsupported "
        "operand type(s) for /: 'NoneType' and 'Tensor'",
    ),
    "RLeaky, one to one on images": (
        lambda: Loop(nn.Conv2d(2, 3, 3), snn.RLeaky(0.9, all_to_all=False)),
        "layer 'layers.1' (RLeaky): all_to_all=False on neurons of shape (3, 6, 6); put a Flatten "
        "before it, or use conv2d_channels",
    ),
    "membranes of a layer that resets": (
        lambda: Tutorial(lambda spikes, membranes: membranes),
        "layer 'lif2' (Leaky): the network uses its membrane, on which its spikes act; build it "
        "without reset and recurrence, or use its spikes",
    ),
    "membrane used beside the spikes": (
        lambda: Leaking(linear(), snn.Leaky(0.9), linear()),
        "layer 'layers.2' (Linear): takes a state of layer 'layers.1'; only a layer's output can "
        "be used: its spikes, or the membrane of a layer without reset whose spikes are not used",
    ),
    "spikes drawn in the network": (
        Encodes,
        f"torch.bernoulli at tests/oracles/frameworks/snntorch.py:{ENCODED} (return torch.stack("
        "[self.lif(self.fc(spikegen.rate(step / 9, 1)[0])) for step in x])): draws random numbers; "
        "encode outside the network and give the spikes as the sample, and leave noise out",
    ),
    "called twice in each step": (
        lambda: Twice(linear(), snn.Leaky(0.9)),
        "layer 'layers.1' (Leaky): is called 400 times in 200 timesteps; it has state, so each "
        "call within a step needs its own layer",
    ),
}


def between(form):
    hidden = {"init_hidden": True}
    conv, first = nn.Conv2d(2, 4, 3, padding=1), snn.Leaky(0.9, threshold=0.4, **hidden)
    return Hidden(conv, first, form(), snn.Leaky(0.8, **hidden))


CASES = [
    *(
        Case(name=n, build=partial(between, form), layout="time_batch", input="image")
        for n, form in (
            ("linear layers between neurons", forms.Layers),
            ("linear functions between neurons", forms.Functions),
        )
    ),
    *(Case(name=n, build=in_loop(make), layout="time_batch") for n, make in NEURONS.items()),
    *(Case(name=n, build=b, layout="time_batch") for n, b in NETWORKS.items()),
    Case(name="batch first, recurrence by hand", build=BatchFirst),
    Case(
        name="RLeaky with a convolution",
        build=lambda: Loop(*convolved(), snn.Leaky(0.7)),
        layout="time_batch",
        input="image",
    ),
    *(
        Case(
            name=n,
            build=b,
            layout="time_batch",
            input="image" if "images" in n else "spikes",
            refused=told,
        )
        for n, (b, told) in REFUSALS.items()
    ),
]

if __name__ == "__main__":
    main("snntorch", CASES)

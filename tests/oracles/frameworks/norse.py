"""Norse 1.1.0: every neuron with its options, whole sequences and loops over time.

``cells`` are called once a step and handed their state; ``sequences`` take (time, batch, ...).
"""

import norse.torch as norse
import torch
from norse.torch.functional.izhikevich import tonic_spiking
from norse.torch.functional.reset import reset_subtract
from torch import nn

from tests.oracles.frameworks import forms
from tests.oracles.frameworks.harness import Case, main


class Loop(nn.Module):
    """A weight and a cell, step by step over (time, batch, ...)."""

    def __init__(self, cell, weight=None):
        super().__init__()
        self.weight = weight
        self.cell = cell

    def forward(self, x):
        state, out = None, []
        for step in x:
            step = step if self.weight is None else self.weight(step)
            z, state = self.cell(step, state)
            out.append(z)
        return torch.stack(out)


class FedBack(nn.Module):
    """The spikes of the last of two cells come back to the first, one step later."""

    def __init__(self):
        super().__init__()
        self.first, self.second = linear(), linear()
        self.inner, self.outer = norse.LIFCell(), norse.LIFBoxCell(box(v_th=0.3))

    def forward(self, x):
        z, inner, outer, out = torch.zeros_like(x[0]), None, None, []
        for step in x:
            z, inner = self.inner(self.first(step + z), inner)
            z, outer = self.outer(self.second(z), outer)
            out.append(z)
        return torch.stack(out)


class BatchFirst(nn.Module):
    """A network of two cells over (batch, time, ...) that returns its readout's membrane."""

    def __init__(self):
        super().__init__()
        self.first, self.second = linear(), linear(4)
        self.lif = norse.LIFCell(lif(v_th=0.4))
        self.out = norse.LICell()

    def forward(self, x):
        hidden, readout, out = None, None, []
        for t in range(x.shape[1]):
            z, hidden = self.lif(self.first(x[:, t]), hidden)
            v, readout = self.out(self.second(z), readout)
            out.append(v)
        return torch.stack(out, dim=1)


class Sequences(nn.Module):
    """``SequentialState`` on the whole sequence; only its output leaves."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = norse.SequentialState(*layers)

    def forward(self, x):
        out, _ = self.layers(x)
        return out


class Residual(nn.Module):
    """A skip around a layer of neurons."""

    def __init__(self):
        super().__init__()
        self.first, self.second = norse.LIF(lif(v_th=0.3)), norse.LIF(lif(v_th=0.5))
        self.weight = norse.Lift(linear())

    def forward(self, x):
        z, _ = self.first(x)
        out, _ = self.second(self.weight(z) + z)
        return out


def linear(outputs=16, inputs=16):
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, 0.3, 1.0)
    return layer


def lif(**options):
    return norse.LIFParameters(**{name: torch.as_tensor(v) for name, v in options.items()})


def box(**options):
    given = {n: v if callable(v) else torch.as_tensor(v) for n, v in options.items()}
    return norse.LIFBoxParameters(**given)


def vectors(v_leak=0.0):
    """A parameter a neuron; whole sequences cannot start from a ``v_leak`` a neuron."""
    return lif(
        tau_syn_inv=torch.rand(16) * 300 + 50,
        tau_mem_inv=torch.rand(16) * 200 + 20,
        v_leak=v_leak,
        v_th=torch.rand(16) * 0.5 + 0.3,
        v_reset=torch.rand(16) * 0.3 - 0.3,
    )


OPTIONS = {"tau_syn_inv": 123.4, "tau_mem_inv": 77.7, "v_leak": 0.1, "v_th": 0.45, "v_reset": -0.2}


def filled(layer):
    """A recurrent layer whose diagonal was filled after it was built."""
    nn.init.normal_(layer.recurrent_weights, 0.0, 0.5)
    return layer


def conv_net():
    return Sequences(
        norse.Lift(nn.Conv2d(2, 4, 3, padding=1, bias=False)),
        norse.LIF(lif(v_th=0.08)),
        norse.Lift(nn.AvgPool2d(2)),
        norse.Lift(nn.Flatten()),
        norse.Lift(linear(16, 64)),
        norse.LIF(lif(v_th=0.3)),
    )


def keeps_all(z, v, reset, th):
    return v


STEPS = {
    "LIFCell": lambda: Loop(norse.LIFCell(), linear()),
    "LIFCell options, dt 2 ms": lambda: Loop(norse.LIFCell(lif(**OPTIONS), dt=0.002), linear()),
    "LIFCell a parameter a neuron": lambda: Loop(
        norse.LIFCell(vectors(torch.rand(16) * 0.2 - 0.1)), linear()
    ),
    "LIFBoxCell": lambda: Loop(norse.LIFBoxCell(box(v_th=0.2)), linear()),
    "LIFBoxCell leak and reset": lambda: Loop(
        norse.LIFBoxCell(box(v_th=0.3, v_leak=0.07, v_reset=-0.1)), linear()
    ),
    "LIFBoxCell reset_subtract": lambda: Loop(
        norse.LIFBoxCell(box(v_th=0.25, v_leak=0.05, reset_method=reset_subtract)), linear()
    ),
    "IAFCell": lambda: Loop(norse.IAFCell(), linear()),
    "LIFRecurrentCell": lambda: Loop(norse.LIFRecurrentCell(16, 16, lif(v_th=0.2))),
    "LIFRecurrentCell autapses": lambda: Loop(
        norse.LIFRecurrentCell(16, 16, lif(v_th=0.2), autapses=True)
    ),
    "LICell": lambda: Loop(norse.LICell(norse.LIParameters(v_leak=torch.tensor(0.05))), linear(4)),
    "LIBoxCell": lambda: Loop(norse.LIBoxCell(), linear(4)),
    "LILinearCell": lambda: Loop(norse.LILinearCell(16, 4)),
    "loop with feedback": FedBack,
    "SequentialState in a loop": lambda: Loop(
        norse.SequentialState(linear(), norse.LIFCell(), linear(), norse.LIFBoxCell(box(v_th=0.2)))
    ),
}

SEQUENCES = {
    "LIF": lambda: Sequences(norse.Lift(linear()), norse.LIF()),
    "LIF a parameter a neuron": lambda: Sequences(norse.Lift(linear()), norse.LIF(vectors())),
    "IAF reset below zero": lambda: Sequences(
        norse.Lift(linear()), norse.IAF(norse.IAFParameters(v_reset=torch.tensor(-0.3)))
    ),
    "LIFRecurrent": lambda: Sequences(norse.LIFRecurrent(16, 16, lif(v_th=0.2)), norse.LIF()),
    "LIFRecurrent diagonal filled": lambda: filled(norse.LIFRecurrent(16, 16, lif(v_th=0.2))),
    "LI behind LIF": lambda: Sequences(
        norse.Lift(linear()), norse.LIF(lif(v_th=0.4)), norse.Lift(linear(4)), norse.LI()
    ),
    "Lift of a cell": lambda: Sequences(norse.Lift(linear()), norse.Lift(norse.LIFCell())),
    "residual": Residual,
}


def between(form):
    conv = nn.Conv2d(2, 4, 3, padding=1)
    first, last = norse.LIFBoxCell(box(v_th=0.1)), norse.LIFBoxCell(box(v_th=0.2))
    return Loop(norse.SequentialState(conv, first, form(), last))


IMAGES = {
    "linear layers between neurons": lambda: between(forms.Layers),
    "linear functions between neurons": lambda: between(forms.Functions),
    "convolutional network": conv_net,
    "LConv2d": lambda: Sequences(
        norse.LConv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0)), norse.LIF(lif(v_th=0.1))
    ),
}

CURVED = "its membrane is not linear below the threshold; use LIFCell"

REFUSALS = {
    "LSNNCell": (
        lambda: Loop(norse.LSNNCell(), linear()),
        "layer 'cell' (LSNNCell): its threshold adapts to its spikes, which no supported chip can "
        "do; use LIFCell",
    ),
    "LIFAdEx": (
        lambda: Sequences(norse.Lift(linear()), norse.LIFAdEx()),
        f"layer 'layers.1' (LIFAdEx): {CURVED}",
    ),
    "LIFExCell": (
        lambda: Loop(norse.LIFExCell(), linear()),
        f"layer 'cell' (LIFExCell): {CURVED}",
    ),
    "IzhikevichCell": (
        lambda: Loop(norse.IzhikevichCell(tonic_spiking), linear()),
        f"layer 'cell' (IzhikevichCell): {CURVED}",
    ),
    "LIFRefracCell": (
        lambda: Loop(norse.LIFRefracCell(), linear()),
        "layer 'cell' (LIFRefracCell): the Graph cannot represent a refractory period; use "
        "LIFCell or LIFRecurrentCell",
    ),
    "CobaLIFCell": (
        lambda: Loop(norse.CobaLIFCell(16, 16)),
        "layer 'cell' (CobaLIFCell): its synapses are conductances, whose current depends on v; "
        "use LIFCell",
    ),
    "RecurrentSequential": (
        lambda: Loop(norse.RecurrentSequential(linear(), norse.LIFCell())),
        "layer 'cell' (RecurrentSequential): its feedback goes through a stack of tensors; write "
        "the loop with x + z, where z are the spikes of the previous step, or use LIFRecurrentCell",
    ),
    "PoissonEncoder": (
        lambda: nn.Sequential(norse.PoissonEncoder(10)),
        "layer '0' (PoissonEncoder): it encodes numbers as spikes; encode outside the network and "
        "give the spikes as the sample",
    ),
    "reset_method of the user's own": (
        lambda: Loop(norse.LIFBoxCell(box(reset_method=keeps_all)), linear()),
        "layer 'cell' (LIFBoxCell): reset_method is keeps_all; supported are reset_value and "
        "reset_subtract of norse.torch.functional.reset",
    ),
    "Euler step beyond 1": (
        lambda: Loop(norse.LIFCell(lif(tau_mem_inv=2000.0)), linear()),
        "layer 'cell' (LIFCell): dt * tau_mem_inv is 2 where an Euler step needs 0..1, because "
        "beyond 1 the state changes sign every step; lower dt or tau_mem_inv",
    ),
}

CASES = [
    *(Case(name=n, build=b, layout="time_batch") for n, b in STEPS.items()),
    Case(name="loop over batch first", build=BatchFirst),
    *(Case(name=n, build=b, layout="time_batch") for n, b in SEQUENCES.items()),
    *(Case(name=n, build=b, layout="time_batch", input="image") for n, b in IMAGES.items()),
    *(
        Case(name=n, build=b, layout="time_batch", refused=told)
        for n, (b, told) in REFUSALS.items()
    ),
]

if __name__ == "__main__":
    main("norse", CASES)

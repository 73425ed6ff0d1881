"""Layers of one timestep, as snnTorch's are for their users, and networks that loop over them.

The classes carry snnTorch's names, by which the frontend knows them, and compute the equations that
``toolchain/frontends/frameworks/snntorch.py`` states; the comparison with snnTorch itself is
recorded by ``tests/oracles/frameworks/snntorch.py``.
"""

import inspect

import torch
from torch import nn

__all__ = ["Leaky", "Net", "RLeaky", "Synaptic", "at", "spikes", "wiring"]


class _Spiking(nn.Module):
    def __init__(self, beta, *, threshold=1.0, reset_mechanism="subtract", init_hidden=False):
        super().__init__()
        self.beta, self.threshold = torch.as_tensor(beta), torch.as_tensor(threshold)
        self.graded_spikes_factor = torch.tensor(1.0)
        self.reset_mechanism, self.reset_delay = reset_mechanism, True
        self.inhibition = self.state_quant = False
        self.init_hidden = init_hidden
        self.reset_mem()

    def __init_subclass__(cls):
        cls.__module__ = "snntorch._neurons"

    def reset_mem(self):
        self.mem = torch.zeros(0)

    def fire(self, mem):
        """Spikes in single precision, as snnTorch's surrogates give them."""
        return (mem > self.threshold).float()

    def integrated(self, x, mem):
        last = self.mem if mem is None else mem
        last = last if last.numel() else torch.zeros_like(x)
        fired = self.fire(last) if self.reset_mechanism == "subtract" else 0.0
        return self.beta.clamp(0, 1) * last + x - fired * self.threshold


class Leaky(_Spiking):
    """``v = beta v + x``, minus the threshold where v was above it."""

    def forward(self, x, mem=None):
        self.mem = self.integrated(x, mem)
        z = self.fire(self.mem)
        return z if self.init_hidden else (z, self.mem)


class Synaptic(_Spiking):
    """``i = alpha i + x`` before the membrane."""

    def __init__(self, alpha, beta, **rest):
        super().__init__(beta, **rest)
        self.alpha = torch.as_tensor(alpha)

    def forward(self, x, syn=None, mem=None):
        syn = self.alpha * syn + x if syn is not None and syn.numel() else x
        mem = self.integrated(syn, mem)
        return self.fire(mem), syn, mem


class RLeaky(_Spiking):
    """``x`` and ``recurrent`` of the last spikes."""

    def __init__(self, beta, features, **rest):
        super().__init__(beta, **rest)
        self.recurrent = nn.Linear(features, features)

    def forward(self, x, spk=None, mem=None):
        last = torch.zeros_like(x) if spk is None else spk
        mem = self.integrated(x + self.recurrent(last.to(x.dtype)), mem)
        return self.fire(mem).to(x.dtype), mem


class Net(nn.Module):
    """Layers of four neurons with any forward over them."""

    def __init__(self, forward, **layers):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.fc2, self.rec = (nn.Linear(4, 4) for _ in range(3))
        self.lif, self.lif2, self.cell = Leaky(0.9), Leaky(0.8), Leaky(0.7, init_hidden=True)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def spikes(*shape):
    torch.manual_seed(1)
    return torch.randint(0, 3, shape).float()


def wiring(graph):
    """Nodes with their types and sources, in order, without numbers."""
    lines = str(graph).splitlines()[1:]
    return [line.split("(")[0] + line[line.rindex(")") + 1 :] for line in lines]


def at(function, text):
    """``file:line (text)`` of the one line of ``function`` that holds ``text``."""
    lines, first = inspect.getsourcelines(function)
    ((offset, line),) = [(n, line) for n, line in enumerate(lines) if text in line]
    return f"{inspect.getsourcefile(function)}:{first + offset} ({line.strip()})"

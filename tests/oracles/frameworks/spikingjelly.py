"""SpikingJelly 2.0.0: every neuron with its options, in step modes 'm' and 's'.

Layers in mode 'm' take (time, batch, ...); a loop over time calls layers in mode 's'.
"""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

from tests.oracles.frameworks import forms
from tests.oracles.frameworks.harness import Case, main


class Loop(nn.Module):
    """Layers in step mode 's', step by step over (time, batch, ...)."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return torch.stack([self.layers(step) for step in x])


class Folded(nn.Module):
    """Time folded into the batch and layers run step by step by the functions for it."""

    def __init__(self):
        super().__init__()
        self.weight, self.norm = linear(), normalized(nn.BatchNorm1d(16))
        self.first = neuron.IFNode(step_mode="m")
        self.second = neuron.LIFNode(tau=1.5, v_threshold=0.7)

    def forward(self, x):
        x = functional.seq_to_ann_forward(x, [self.weight, self.norm])
        return functional.multi_step_forward(self.first(x), self.second)


class Residual(nn.Module):
    """A skip around a layer of neurons, added as spikes."""

    def __init__(self):
        super().__init__()
        self.first = neuron.IFNode(step_mode="m")
        self.inner = nn.Sequential(linear(), neuron.LIFNode(tau=1.5, step_mode="m"))
        self.second = neuron.IFNode(v_threshold=1.5, v_reset=None, step_mode="m")

    def forward(self, x):
        z = self.first(x)
        return self.second(self.inner(z) + z)


class Readout(nn.Module):
    """Membranes without spikes, which leave their layer as a list of steps."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(linear(), neuron.IFNode(step_mode="m"), linear(4))
        self.out = neuron.NonSpikingLIFNode(tau=3.0)

    def forward(self, x):
        return torch.stack(self.out(self.layers(x)))


def linear(outputs=16, inputs=16, bias=True, mode="m"):
    made = layer.Linear(inputs, outputs, bias=bias, step_mode=mode)
    nn.init.normal_(made.weight, 0.2, 0.6)
    return made


def normalized(norm):
    nn.init.normal_(norm.running_mean, 0.0, 0.2)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    return norm


def behind(node):
    """A weight and ``node`` on the whole sequence."""
    node.step_mode = "m"
    return nn.Sequential(linear(), node)


def conv_net(mode):
    return nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, bias=False, step_mode=mode),
        normalized(layer.BatchNorm2d(4, step_mode=mode)),
        neuron.IFNode(v_threshold=0.4, step_mode=mode),
        layer.AvgPool2d(2, step_mode=mode),
        layer.Flatten(step_mode=mode),
        layer.Dropout(0.5, step_mode=mode),
        linear(16, 64, mode=mode),
        neuron.LIFNode(tau=1.5, v_reset=None, step_mode=mode),
    )


def thresholded():
    return nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 4, 3, stride=2, bias=False)),
        normalized(layer.ThresholdDependentBatchNorm2d(1.0, 0.7, 4)),
        neuron.IFNode(v_threshold=0.7, v_reset=None, step_mode="m"),
    )


SEQUENCES = {
    "IFNode": lambda: behind(neuron.IFNode()),
    "IFNode soft reset": lambda: behind(neuron.IFNode(v_threshold=1.3, v_reset=None)),
    "IFNode reset below zero": lambda: behind(neuron.IFNode(v_reset=-0.25)),
    "LIFNode": lambda: behind(neuron.LIFNode(tau=1.7)),
    "LIFNode soft reset": lambda: behind(neuron.LIFNode(tau=1.7, v_reset=None)),
    "LIFNode input not decayed": lambda: behind(neuron.LIFNode(tau=5.0, decay_input=False)),
    "LIFNode leaks to its reset": lambda: behind(
        neuron.LIFNode(tau=3.3, decay_input=False, v_threshold=0.7, v_reset=0.2)
    ),
    "LIFNode decayed towards its reset": lambda: behind(neuron.LIFNode(tau=1.3, v_reset=-0.3)),
    "ParametricLIFNode": lambda: behind(neuron.ParametricLIFNode(init_tau=1.6)),
    "ParametricLIFNode soft, not decayed": lambda: behind(
        neuron.ParametricLIFNode(init_tau=4.0, decay_input=False, v_reset=None)
    ),
    "CUBALIFNode": lambda: behind(neuron.CUBALIFNode(c_decay=0.6, v_decay=0.8)),
    "CUBALIFNode soft reset": lambda: behind(neuron.CUBALIFNode(v_threshold=1.7, v_reset=None)),
    "CUBALIFNode starts at its reset": lambda: behind(neuron.CUBALIFNode(v_reset=0.2)),
    "SimpleLIFNode": lambda: behind(neuron.SimpleLIFNode(1.4, True, v_reset=0.1)),
    "HalfThresholdIFNode": lambda: behind(neuron.HalfThresholdIFNode(1.4)),
    "LinearRecurrentContainer": lambda: nn.Sequential(
        linear(),
        layer.LinearRecurrentContainer(neuron.LIFNode(tau=1.1), 16, 16, step_mode="m"),
    ),
    "ElementWiseRecurrentContainer": lambda: nn.Sequential(
        linear(),
        layer.ElementWiseRecurrentContainer(
            neuron.LIFNode(tau=2.5, v_reset=None), torch.add, step_mode="m"
        ),
    ),
    "MultiStepContainer": lambda: nn.Sequential(
        layer.MultiStepContainer(linear(mode="s"), neuron.IFNode()),
        linear(),
        neuron.IFNode(step_mode="m"),
    ),
    "seq_to_ann_forward and multi_step_forward": Folded,
    "residual": Residual,
    "NonSpikingLIFNode as readout": Readout,
    "VotingLayer": lambda: nn.Sequential(
        *behind(neuron.IFNode()), layer.VotingLayer(4, step_mode="m")
    ),
    "loop of IFNode and LIFNode": lambda: Loop(
        linear(mode="s"), neuron.IFNode(), linear(mode="s"), neuron.LIFNode(tau=1.5)
    ),
    "loop of SLTTLIFNode and OTTTLIFNode": lambda: Loop(
        linear(mode="s"), neuron.SLTTLIFNode(tau=1.5), linear(mode="s"), neuron.OTTTLIFNode()
    ),
    "loop of LinearRecurrentContainer": lambda: Loop(
        layer.LinearRecurrentContainer(neuron.IFNode(v_threshold=0.5), 16, 16)
    ),
}


def between(form):
    conv = layer.Conv2d(2, 4, 3, padding=1)
    return Loop(conv, neuron.IFNode(v_threshold=0.4), form(), neuron.LIFNode(tau=1.5))


def maps():
    """Layers on maps and lines in mode 'm'."""
    multi = {"step_mode": "m"}
    return nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, **multi),
        neuron.IFNode(v_threshold=0.4, **multi),
        layer.AdaptiveAvgPool2d(4, **multi),
        layer.ConvTranspose2d(4, 3, 3, stride=2, **multi),
        neuron.IFNode(v_threshold=0.1, **multi),
        layer.Upsample(scale_factor=2, **multi),
        layer.AvgPool2d(3, padding=1, **multi),
        layer.Flatten(**multi),
        linear(16, 108),
        neuron.LIFNode(tau=1.5, **multi),
    )


IMAGES = {
    "linear layers between neurons": lambda: between(forms.Layers),
    "linear functions between neurons": lambda: between(forms.Functions),
    "layers on maps": maps,
    "convolutional network": lambda: conv_net("m"),
    "convolutional network in a loop": lambda: Loop(*conv_net("s")),
    "SeqToANNContainer, threshold-dependent norm": thresholded,
}


def joined(a, b):
    return a - b


REFUSALS = {
    "QIFNode": (
        lambda: behind(neuron.QIFNode()),
        "layer '1' (QIFNode): its membrane is not linear below the threshold; use LIFNode",
    ),
    "IzhikevichNode": (
        lambda: behind(neuron.IzhikevichNode()),
        "layer '1' (IzhikevichNode): a second state acts on its membrane or its threshold; use "
        "LIFNode",
    ),
    "KLIFNode": (
        lambda: behind(neuron.KLIFNode()),
        "layer '1' (KLIFNode): its gates or its scales have no counterpart in the Graph; use "
        "ParametricLIFNode",
    ),
    "PSN": (
        lambda: nn.Sequential(linear(), neuron.PSN(200)),
        "layer '1' (PSN): it weights past inputs instead of keeping a membrane potential; use "
        "LIFNode",
    ),
    "TernaryIFNode": (
        lambda: behind(neuron.TernaryIFNode()),
        "layer '1' (TernaryIFNode): it fires spikes of both signs, which no supported chip can do; "
        "use IFNode or LIFNode",
    ),
    "SynapseFilter": (
        lambda: nn.Sequential(*behind(neuron.IFNode()), layer.SynapseFilter(5.0, step_mode="m")),
        "layer '2' (SynapseFilter): its decay stops while spikes arrive; use CUBALIFNode for a "
        "synapse",
    ),
    "surrogate in place of spikes": (
        lambda: behind(neuron.IFNode(surrogate_function=surrogate.Sigmoid(spiking=False))),
        "layer '1' (IFNode): surrogate_function is Sigmoid, with spiking=False; use one whose "
        "output is 0 or 1, such as surrogate.Sigmoid()",
    ),
    "recurrence by another function": (
        lambda: nn.Sequential(
            layer.ElementWiseRecurrentContainer(neuron.IFNode(), joined, step_mode="m")
        ),
        "layer '0' (ElementWiseRecurrentContainer): element_wise_function is joined; only a sum is "
        "supported, as operator.add or torch.add",
    ),
    "membranes reduced over time": (
        lambda: nn.Sequential(linear(), neuron.NonSpikingLIFNode(decode="max-mem")),
        "layer '1' (NonSpikingLIFNode): decode='max-mem' reduces over time; use decode=None, stack "
        "the steps and reduce outside the network",
    ),
}

CASES = [
    *(Case(name=n, build=b, layout="time_batch") for n, b in SEQUENCES.items()),
    *(Case(name=n, build=b, layout="time_batch", input="image") for n, b in IMAGES.items()),
    *(
        Case(name=n, build=b, layout="time_batch", refused=told)
        for n, (b, told) in REFUSALS.items()
    ),
]

if __name__ == "__main__":
    main("spikingjelly", CASES)

"""Gradients of the integers of Xylo by automatic differentiation, step by step in float64.

The reference of ``toolchain.chips.xylo.training``: the values of all spikes and membranes are those
that were recorded, their derivatives come from torch.
"""

import torch

from tests.chips.xylo.graphs import ways
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.ir import Linear, Membrane, Neuron

WITHOUT_SYNAPSE = 0.5
"""Decay of a current that the network does not have: the chip's shortest."""


class Spikes(torch.autograd.Function):
    """Recorded spikes, with the surrogate slope ``g(v / threshold) / threshold``."""

    @staticmethod
    def forward(ctx, v, threshold, fired, most, g):
        ctx.save_for_backward(v, threshold, most)
        ctx.g = g
        return fired.clone()

    @staticmethod
    def backward(ctx, outer):
        v, threshold, most = ctx.saved_tensors
        u = v / threshold
        slope = ctx.g(u) / threshold
        slope = torch.where(u > most + 1.5, torch.zeros_like(u), slope)
        return outer * slope, (-outer * slope * u).sum(0), None, None, None


class Capped(torch.autograd.Function):
    """Own and received spikes together, at most ``cap``: at the cap received ones do not count."""

    @staticmethod
    def forward(ctx, own, received, cap):
        total = (own + received).clamp(max=cap)
        ctx.below = total < cap
        return total

    @staticmethod
    def backward(ctx, outer):
        return outer, outer * ctx.below, None


def ramp(u):
    return u.clamp(0, 1)


def float64(values, **rest):
    return torch.tensor(values, dtype=torch.float64, **rest)


def gradients(graph, program, recording, spikes, outer, g=ramp):
    """The gradient of ``sum(outer * values)`` by name of the parameter, and of the ``input``."""
    network = Network(graph, program, recording)
    given = float64(spikes, requires_grad=True)
    loss = 0 * given.sum()
    for t in range(spikes.shape[1]):
        values = network.step(given[:, t].flatten(1), t, g)
        loss = loss + sum((values[n] * float64(outer[n][:, t])).sum() for n in outer)
    leaves = {"input": given, **network.leaves}
    found = torch.autograd.grad(loss, [*leaves.values()], allow_unused=True, materialize_grads=True)
    return {name: gradient.numpy() for name, gradient in zip(leaves, found, strict=True)}


class Network:
    """A network of integers on the recorded trajectory."""

    def __init__(self, graph, program, recording):
        self.graph, self.program = graph, program
        self.layers = graph.of(Membrane)
        self.outputs = set(read_layers(graph).outputs)
        self.aliases = arrange(read_layers(graph), load_chip(program.chip)).aliases
        self.fired = {n: float64(recording.layers[n].spikes) for n in self.layers}
        self.after = {n: float64(recording.layers[n].v_mem) for n in self.layers}
        self.leaves = {
            f"{name}.{field}": float64(getattr(node, field), requires_grad=True)
            for name, node in graph.nodes.items()
            for field in self.fields(node)
        }
        batch = recording.spikes.shape[0]
        self.currents = {
            n: torch.zeros(batch, *node.shape, max(1, node.synapses), dtype=torch.float64)
            for n, node in self.layers.items()
        }
        self.membranes = {n: current[..., 0] for n, current in self.currents.items()}
        self.sent = dict(self.membranes)

    @staticmethod
    def fields(node):
        if isinstance(node, Linear):
            return ("weight",)
        if isinstance(node, Neuron):
            return ("v_threshold", "bias")
        return ("bias",) if isinstance(node, Membrane) else ()

    def step(self, given, t, g):
        """The values of all layers in step ``t``, own spikes or states."""
        values, sent = {}, {}
        for name in self.receivers_last():
            current, before = self.integrate(name, given)
            if isinstance(self.layers[name], Neuron):
                received = sum((sent[s] for s in self.sources(name)), 0 * before)
                values[name], sent[name] = self.fire(name, before, received, t, g)
                continue
            before = before + (self.after[name][:, t] - before).detach()
            self.membranes[name] = before
            values[name] = current.sum(-1) if self.program.readout == "i_syn" else before
        self.sent = sent
        return values

    def integrate(self, name, given):
        node = self.layers[name]
        current = self.currents[name]
        for weight, _ in ways(self.graph, name):
            w = self.leaves[f"{weight}.weight"]
            pres = [pre for pre, _ in ways(self.graph, weight)]
            for pre in pres:
                if self.aliases.get(pre) in pres:
                    continue  # the alias sends it on
                spikes = given if pre == self.graph.input else self.sent[pre]
                current = current + (spikes @ w.T).reshape(current.shape)
        kept = WITHOUT_SYNAPSE if node.alpha_syn is None else float64(node.alpha_syn)
        self.currents[name] = current = current * kept
        leaked = float64(node.alpha_mem) * self.membranes[name]
        return current, leaked + current.sum(-1) + self.leaves[f"{name}.bias"]

    def fire(self, name, before, received, t, g):
        """Own spikes, and those that are sent on together with the received ones."""
        most = self.program.max_hidden_spikes
        cap = self.program.max_output_spikes if name in self.outputs else most
        threshold = self.leaves[f"{name}.v_threshold"].expand(self.layers[name].shape)
        fired = self.fired[name][:, t]
        before = before + (self.after[name][:, t] + fired * threshold - before).detach()
        left = cap - received.detach().clamp(max=cap)
        own = Spikes.apply(before, threshold, fired, left, g)
        self.membranes[name] = before - own * threshold
        return own, Capped.apply(own, received, cap) if self.sources(name) else own

    def sources(self, name):
        return [source for source, target in self.aliases.items() if target == name]

    def receivers_last(self):
        ordered = []
        while len(ordered) < len(self.layers):
            ordered += [
                n for n in self.layers if n not in ordered and set(self.sources(n)) <= {*ordered}
            ]
        return ordered

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


class _Spikes(torch.autograd.Function):
    """Recorded spikes, with the surrogate slope ``g(v / threshold) / threshold``."""

    @staticmethod
    def forward(ctx, v, threshold, fired, most, ramp):
        ctx.save_for_backward(v, threshold, most)
        ctx.ramp = ramp
        return fired.clone()

    @staticmethod
    def backward(ctx, outer):
        v, threshold, most = ctx.saved_tensors
        u = v / threshold
        slope = ctx.ramp(u) / threshold
        slope = torch.where(u > most + 1.5, torch.zeros_like(u), slope)
        return outer * slope, (-outer * slope * u).sum(0), None, None, None


class _Capped(torch.autograd.Function):
    """Own and received spikes together, at most ``cap``: at the cap received ones do not count."""

    @staticmethod
    def forward(ctx, own, received, total, cap):
        ctx.below = total < cap
        return total.clone()

    @staticmethod
    def backward(ctx, outer):
        return outer, outer * ctx.below, None, None


def _recorded(computed, value):
    return computed + (value - computed).detach()


def ramp(u):
    return u.clamp(0, 1)


def gradients(graph, program, recording, spikes, outer, slope=ramp):
    """The gradient of ``sum(outer * values)`` by name of the parameter, and of the input."""
    chip = load_chip(program.chip)
    aliases = arrange(read_layers(graph), chip).aliases
    leaves = {}
    for name, node in graph.nodes.items():
        fields = {Linear: ("weight",), Neuron: ("v_threshold", "bias")}
        for field in next((f for kind, f in fields.items() if isinstance(node, kind)), ("bias",)):
            if hasattr(node, field) and getattr(node, field) is not None:
                value = torch.tensor(getattr(node, field), dtype=torch.float64, requires_grad=True)
                leaves[f"{name}.{field}"] = value
    given = torch.tensor(spikes, dtype=torch.float64, requires_grad=True)
    layers = graph.of(Membrane)
    batch, steps = spikes.shape[:2]
    fired = {n: torch.tensor(recording.layers[n].spikes, dtype=torch.float64) for n in layers}
    after = {n: torch.tensor(recording.layers[n].v_mem, dtype=torch.float64) for n in layers}
    state = {
        n: (
            torch.zeros(batch, *node.shape, max(1, node.synapses), dtype=torch.float64),
            torch.zeros(batch, *node.shape, dtype=torch.float64),
        )
        for n, node in layers.items()
    }
    loss = 0 * given.sum()
    previous = None
    for t in range(steps):
        own, totals = {}, {}
        for name, node in layers.items():
            current, v = state[name]
            for weight, _ in ways(graph, name):
                w = leaves[f"{weight}.weight"]
                pres = [pre for pre, _ in ways(graph, weight)]
                for pre in pres:
                    if pre == graph.input:
                        current = current + (given[:, t].flatten(1) @ w.T).reshape(current.shape)
                    elif previous is not None and aliases.get(pre) not in pres:
                        current = current + (previous[pre] @ w.T).reshape(current.shape)
            if node.alpha_syn is not None:
                current = current * torch.tensor(node.alpha_syn, dtype=torch.float64)
            else:
                current = current * 0.5
            alpha = torch.tensor(node.alpha_mem, dtype=torch.float64)
            before = alpha * v + current.sum(-1) + leaves[f"{name}.bias"]
            if isinstance(node, Neuron):
                threshold = leaves[f"{name}.v_threshold"].expand(node.shape)
                before = _recorded(before, after[name][:, t] + fired[name][:, t] * threshold)
                received = sum(
                    (totals_of(name, aliases, fired, t, program)), torch.zeros_like(before)
                ).clamp(max=program.max_hidden_spikes)
                is_output = name in read_layers(graph).outputs
                cap = program.max_output_spikes if is_output else program.max_hidden_spikes
                own[name] = _Spikes.apply(
                    before, threshold, fired[name][:, t], cap - received, slope
                )
                v = before - own[name] * threshold
                if name in outer:
                    loss = loss + (own[name] * torch.tensor(outer[name][:, t])).sum()
            else:
                before = _recorded(before, after[name][:, t])
                v = before
                if name in outer:
                    read = current.sum(-1) if program.readout == "i_syn" else v
                    loss = loss + (read * torch.tensor(outer[name][:, t])).sum()
            state[name] = current, v
        waiting = list(own)
        while waiting:
            for name in list(waiting):
                sources = [s for s, target in aliases.items() if target == name]
                if any(s in waiting for s in sources):
                    continue
                total = own[name]
                if sources:
                    received = sum(totals[s] for s in sources)
                    cap = program.max_hidden_spikes
                    value = (received + own[name]).detach().clamp(max=cap)
                    total = _Capped.apply(own[name], received, value, cap)
                totals[name] = total
                waiting.remove(name)
        previous = totals
    used = [name for name, leaf in leaves.items()]
    found = torch.autograd.grad(
        loss, [given, *(leaves[n] for n in used)], allow_unused=True, materialize_grads=True
    )
    return {"input": found[0].numpy()} | {
        n: g.numpy() for n, g in zip(used, found[1:], strict=True)
    }


def totals_of(name, aliases, fired, t, program):
    """The spikes, own and received, of the layers that pass theirs to ``name``."""
    for source, target in aliases.items():
        if target == name:
            received = sum(totals_of(source, aliases, fired, t, program), 0 * fired[source][:, t])
            yield (received + fired[source][:, t]).clamp(max=program.max_hidden_spikes)

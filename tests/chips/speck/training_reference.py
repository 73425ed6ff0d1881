"""Gradients by torch's autograd in float64, along a trajectory of integers that was recorded.

Written from the graph of the network and the formulas of ``training/layer.py``, with torch's own
convolutions: it knows neither cores nor dense kernels.
"""

import numpy as np
import torch
from torch.nn import functional as F

from toolchain.ir import Add, Conv2d, Input, Neuron, Output, Pad, Sensor, SumPool2d


def ramp(v, threshold):
    """A function whose derivative is the ramp clip(v / threshold, 0, 1) of v / threshold."""
    u = v / threshold
    return torch.where(u < 0, torch.zeros_like(u), torch.where(u > 1, u - 0.5, u * u / 2))


def gradients(graph, values, x, layers, outer, surrogate=ramp, timing="clocked"):
    """Gradients of every parameter and of the input by name, numpy.

    layers: LayerRecords of a simulation with these values; outer: by name of the layer.
    """
    leaves = {
        name: torch.tensor(np.asarray(value, np.float64), requires_grad=True)
        for name, value in values.items()
    }
    start = torch.tensor(np.asarray(x, np.float64), requires_grad=True)
    outputs, loss = {}, torch.zeros((), dtype=torch.float64)
    for name, node in graph.nodes.items():
        before = [outputs[edge.pre] for edge in graph.pre(name)]
        if isinstance(node, Input):
            outputs[name] = start
        elif isinstance(node, Sensor):
            outputs[name] = sense(node, before[0])
        elif isinstance(node, Pad):
            ends = [n for pair in zip(node.before, node.after, strict=True) for n in pair]
            pairs = [ends[i : i + 2] for i in range(0, len(ends), 2)][::-1]
            outputs[name] = F.pad(before[0], [n for pair in pairs for n in pair])
        elif isinstance(node, SumPool2d):
            side = node.kernel[0]
            pooled = F.avg_pool2d(before[0].flatten(0, 1), side) * side * side
            outputs[name] = pooled.unflatten(0, start.shape[:2])
        elif isinstance(node, Add):
            outputs[name] = sum(before)
        elif isinstance(node, Conv2d):
            weight, bias = leaves[f"{name}.weight"], leaves.get(f"{name}.bias")
            settings = (node.stride, node.padding, node.dilation, node.groups)
            # a weight of 0 belongs to both signs by half
            signs = [(1 + sign * torch.sign(weight.detach())) / 2 for sign in (1, -1)]
            positive, negative = (
                F.conv2d(before[0].flatten(0, 1), weight * sign, None, *settings).unflatten(
                    0, start.shape[:2]
                )
                for sign in signs
            )
            outputs[name] = (positive, negative, bias)
        elif isinstance(node, Neuron):
            threshold = leaves[f"{name}.v_threshold"]
            args = (node, before[0], threshold, layers[name], surrogate)
            outputs[name] = neurons(*args, by_event=timing == "event")
            if name in outer:
                loss = loss + (outputs[name] * torch.tensor(np.asarray(outer[name], float))).sum()
        else:
            assert isinstance(node, Output)
    loss.backward()
    found = {"input": start, **leaves}
    return {
        name: (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).numpy()
        for name, leaf in found.items()
    }


def neurons(node, inputs, threshold, record, surrogate, by_event):
    """Spikes of a layer with the recorded values and the gradients of the formulas.

    inputs: summed inputs through positive and through negative weights, and the bias or None.
    """
    positive, negative, bias = inputs
    bias = torch.zeros(node.shape[0]).double() if bias is None else bias
    bias = bias[:, None, None]
    current = positive + negative + bias
    floor = -32768 if node.v_min is None else int(node.v_min.flat[0])
    start = torch.tensor(np.broadcast_to(node.v_init, node.shape).astype(float))
    membrane, spikes = start.expand(current.shape[0], *node.shape), []
    for step in range(current.shape[1]):
        n = torch.tensor(record.spikes[:, step].astype(float))
        rest = torch.tensor(record.v_mem[:, step].astype(float))
        if by_event:
            lost = (rest - (membrane + current[:, step] - n * threshold)).detach().clamp(min=0)
            fell = (lost > 0) & ((n == 0) | (node.reset == "subtract"))
            membrane = torch.where(fell, membrane.detach(), membrane)
            low = (-negative[:, step] - bias.clamp(max=0)).detach()
            # lost without a negative input, it starts below its floor: one more would be lost too
            alone = (lost == 0).to(low.dtype)
            share = torch.where(low > 0, 1 - (lost / low.clamp(min=1)).clamp(max=1), alone)
            below = equal_to(share * negative[:, step], negative[:, step].detach())
            total = positive[:, step] + below + bias
        else:
            total = current[:, step]
        v = equal_to(membrane + total, rest + n * threshold.detach())
        fired = equal_to(surrogate(v, threshold), n)
        after = v * (n == 0) if node.reset != "subtract" else v - fired * threshold
        at_floor = (n == 0) & (rest <= floor)
        membrane = equal_to(torch.where(at_floor, rest, after), rest)
        spikes.append(fired)
    return torch.stack(spikes, 1)


def equal_to(value, number):
    """A number with the gradient of ``value``."""
    return value + (number - value).detach()


def sense(node, x):
    """The camera's address processing."""
    if node.merge:
        x = x.sum(2, keepdim=True)
    (down, right), (top, left), (height, width) = node.pool, node.origin, node.size
    x = F.avg_pool2d(x.flatten(0, 1), node.pool).unflatten(0, x.shape[:2]) * down * right
    x = x[..., top : top + height, left : left + width]
    turned = [axis for axis, flag in ((-2, node.flip_y), (-1, node.flip_x)) if flag]
    x = x.flip(turned) if turned else x
    return x.transpose(-1, -2) if node.swap_xy else x

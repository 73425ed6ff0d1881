"""Networks of the benchmark."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output

__all__ = ["camera", "camera_spikes", "layered", "too_large"]

GAINS = (2.8, 3.4, 2.0, 2.6, 1.8, 2.2, 1.6, 2.0, 2.0)
"""Factors of torch's initial weights with which each layer of ``camera`` spikes in 2 to 10 % of the
steps."""


def camera() -> Any:
    """Return a torch network of nine spiking layers for a camera of 128 x 128 pixels."""
    import torch
    from torch import nn

    from toolchain.nn import IAFSqueeze, SumPool2d

    torch.set_num_threads(1)
    torch.manual_seed(0)

    def conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), iaf()]

    def iaf() -> nn.Module:
        return IAFSqueeze(batch_size=1, min_v_mem=-1.0)

    network = nn.Sequential(
        *conv(2, 8, stride=2), *conv(8, 8), SumPool2d(2),
        *conv(8, 16), *conv(16, 16), SumPool2d(2),
        *conv(16, 32), *conv(32, 32), SumPool2d(2),
        *conv(32, 32), SumPool2d(2), nn.Flatten(),
        nn.Linear(512, 64, bias=False), iaf(), nn.Linear(64, 11, bias=False), iaf(),
    )  # fmt: skip
    weighted = [layer for layer in network if hasattr(layer, "weight")]
    with torch.no_grad():
        for gain, layer in zip(GAINS, weighted, strict=True):
            layer.weight *= gain
    return network


def camera_spikes(samples: int, steps: int) -> np.ndarray:
    """Return random spikes (samples, steps, 2, 128, 128) of 2 %."""
    rng = np.random.default_rng(0)
    each = [(rng.random((steps, 2, 128, 128), np.float32) < 0.02) for _ in range(samples)]
    return np.stack(each).view(np.uint8)


def layered(sizes: list[int], gain: float = 0.6) -> Graph:
    """Return leaky layers of these sizes with random weights."""
    rng = np.random.default_rng(0)
    nodes: dict[str, Any] = {"input": Input(shape=(sizes[0],))}
    for number, (pre, post) in enumerate(pairwise(sizes)):
        weight = rng.normal(0.15, gain, (post, pre)) / np.sqrt(pre)
        nodes[f"fc{number}"] = Linear(weight=weight)
        nodes[f"lif{number}"] = Neuron(
            shape=(post,), v_threshold=0.5, alpha_mem=0.875, alpha_syn=[0.75]
        )
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


def too_large() -> Graph:
    """Return two convolutions whose first map of 128 x 128 neurons fits no core."""
    rng = np.random.default_rng(0)
    side = 128
    nodes = {
        "input": Input(shape=(2, side, side)),
        "conv0": Conv2d(weight=rng.normal(0, 0.3, (8, 2, 3, 3)), padding=(1, 1)),
        "if0": Neuron(shape=(8, side, side), v_threshold=1.0),
        "conv1": Conv2d(weight=rng.normal(0, 0.2, (16, 8, 3, 3)), stride=(4, 4), padding=(1, 1)),
        "if1": Neuron(shape=(16, side // 4, side // 4), v_threshold=1.0),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=1e-3)

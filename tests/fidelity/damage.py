"""Deployments with one layer whose integers were made worse on purpose."""

from dataclasses import replace

import numpy as np

from toolchain.ir import Conv2d, Linear
from toolchain.passes.weights import weights_of


def damaged(deployment, layer, seed, size=0.3):
    """The same network on the same chip, the weights of ``layer`` perturbed.

    ``size``: standard deviation of the noise, as a part of the largest weight of a layer.
    """
    rng, quantized = np.random.default_rng(seed), deployment.quantized
    changes = {}
    for name in weights_of(quantized, layer):
        node = quantized[name]
        assert isinstance(node, Linear | Conv2d)
        most = int(np.abs(node.weight).max())
        values = node.weight[node.weight != 0]
        step = int(np.gcd.reduce(np.abs(values))) if values.size else 1
        noise = step * np.rint(rng.normal(0, size * most / step, node.weight.shape))
        weight = (node.weight + noise * (node.weight != 0)).clip(-most, most)
        changes[name] = replace(node, weight=weight.astype(node.weight.dtype))
    graph = quantized.replace(changes)
    on_chip = deployment.on_chip
    again, findings = deployment.family.lower(graph, on_chip.options()).place(on_chip.options())
    assert not [finding for finding in findings if finding.severity.value == "error"]
    return replace(deployment, quantized=graph, on_chip=again)

"""Approximations for Speck: rewrites that a user accepts by name (``allow``).

See ``toolchain.chips.allow`` for their interface.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.allow import (
    EVERYWHERE,
    Approximation,
    RewriteResult,
    apply_approximations,
    lift_caps,
)
from toolchain.chips.rules.findings import warning
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Conv2d, Graph, Neuron, Node

__all__ = ["APPROXIMATIONS", "approximate"]

FLOOR = 2.0**-20
"""Floor over threshold: just below 0, so that the quantizer uses the highest floor, -1 lsb."""


def linear_leak(graph: Graph, chip: SpeckChip) -> RewriteResult:
    """Replace the exponential leak of each membrane by a constant leak with a floor at 0.

    The chip's leak is a bias of the convolution, added once a timestep, and a floor just below 0
    limits it. The constant is the loss of a membrane at half its threshold. Layers that
    share a convolution, or whose neurons of one channel leak differently, are unchanged.
    """
    findings: list[Diagnostic] = []
    for name, node in graph.of(Neuron).items():
        weight = graph[graph.before(name)]
        loss = _loss(node)
        if not np.any(loss) or node.synapses or not isinstance(weight, Conv2d):
            continue
        each = _by_channel(loss, node.shape)
        if each is None or graph.after(graph.before(name)) != name:
            continue
        bias = -each if weight.bias is None else weight.bias - each
        changes: dict[str, Node] = {
            graph.before(name): replace(weight, bias=bias),
            name: replace(node, alpha_mem=np.ones(()), v_min=-FLOOR * node.v_threshold),
        }
        graph = graph.replace(changes)
        part = 100 * float(np.max(1 - node.alpha_mem))
        findings.append(
            warning(
                "exponential_leak->linear_leak",
                name,
                f"loses {part:.3g} % of its membrane per timestep; on {chip.name} a constant "
                f"{part / 2:.3g} % of its threshold, with a floor at 0",
            )
        )
    return graph, tuple(findings)


def _loss(node: Neuron) -> Array:
    """Return what a membrane at half the threshold loses in a timestep."""
    return np.asarray((1 - node.alpha_mem) * node.v_threshold / 2)


def _by_channel(value: Array, shape: tuple[int, ...]) -> Array | None:
    """Return one number a channel; None where it differs within a channel."""
    each = np.broadcast_to(value, shape).reshape(shape[0], -1)
    return each[:, 0] if np.all(each == each[:, :1]) else None


def _lift_caps(graph: Graph, chip: SpeckChip) -> RewriteResult:
    return lift_caps(graph, chip, lambda _: None)


APPROXIMATIONS: dict[str, Approximation[SpeckChip]] = {
    **EVERYWHERE,
    "spike_cap->chip_cap": _lift_caps,
    "exponential_leak->linear_leak": linear_leak,
}

approximate = partial(apply_approximations, "Speck", APPROXIMATIONS)
"""Rewrites a graph by the names of approximations; see ``allow.apply_approximations``."""

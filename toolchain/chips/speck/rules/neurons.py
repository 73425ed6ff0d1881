"""What layers may compute on Speck: rules on the real-valued graph, each yielding findings.

Max pooling has no rule: no Graph holds it, so extraction refuses it by the layer's name.
"""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.rules.findings import Findings, info
from toolchain.chips.rules.graph import (
    GraphRules,
    NodeFault,
    comparison,
    node_rule,
    required_values,
    reset_amount_differs,
    reset_of,
)
from toolchain.chips.speck.faults import by
from toolchain.chips.speck.lower.dense import dense
from toolchain.chips.speck.program import kernel_words
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Conv2d, Graph, Neuron, SumPool2d
from toolchain.report import count

__all__ = ["NEURONS"]


def _resets_otherwise(node: Neuron) -> bool:
    """Whether a spike does more or less than to take the threshold off, or to return to zero."""
    zero = node.reset in ("value", "additive") and not np.any(node.v_reset)
    subtract = node.reset == "subtract" and not reset_amount_differs(node)
    return node.reset_when != "same" or not (zero or subtract)


integrate_and_fire = node_rule(
    "integrate_and_fire",
    Neuron,
    (
        lambda node: np.any(node.alpha_mem != 1),
        "decays exponentially; neurons of {chip} only integrate",
    ),
    (
        lambda node: node.alpha_syn is not None,
        "has a synaptic current; neurons of {chip} have none",
    ),
)


reset = node_rule(
    "reset",
    Neuron,
    (
        _resets_otherwise,
        lambda node: (
            f"resets by {reset_of(node)!r}; {{chip}} subtracts the threshold or returns "
            "to zero, at once"
        ),
    ),
)


def _several(field: str) -> NodeFault[Neuron]:
    """A field that has not the same value in all neurons."""

    def values(node: Neuron) -> int:
        value: Array | None = getattr(node, field)
        return 0 if value is None else len(np.unique(value))

    return (
        lambda node: values(node) > 1,
        lambda node: f"has {values(node)} different values of {field}, a core of {{chip}} has one",
    )


one_number_a_core = node_rule(
    "one_number_a_core", Neuron, _several("v_threshold"), _several("v_min")
)


def _floor(node: Neuron) -> float:
    return 0.0 if node.v_min is None else float(node.v_min.max())


membrane_floor = node_rule(
    "membrane_floor",
    Neuron,
    (
        lambda node: _floor(node) > 0,
        lambda node: f"has a membrane floor (v_min) of {_floor(node):g}, {{chip}} takes 0 or less",
    ),
)


plain_neurons = node_rule(
    "plain_neurons",
    Neuron,
    *required_values(v_leak=0, bias=0, spike_scale=1, gain=1),
    (lambda node: node.max_spikes == 1, "is capped at 1 spike a step; {chip} has no such cap"),
    (
        lambda node: node.max_spikes not in (1, None),
        "is capped at {node.max_spikes} spikes a step; {chip} has no such cap",
    ),
)


def dense_kernel(graph: Graph, chip: SpeckChip) -> Findings:
    """A core has no field for groups, dilation and a second side; zeros say the same, at a cost."""
    for name, node in graph.of(Conv2d).items():
        kernel = dense(node, graph.input_shape_of(name), chip.limits)
        own, made = node.weight.shape, kernel.weight.shape
        if own == made:
            continue
        message = (
            f"{_unusual(node)} written as one dense {made[2]}x{made[3]} kernel, exactly: "
            f"{count(kernel.weight.size - node.weight.size)} of {count(kernel.weight.size)} "
            f"weights are zeros. It takes {count(kernel_words(made))} kernel words, of which "
            f"{count(kernel_words(own))} would hold the weights, and on {chip.name} each zero is "
            "an update too"
        )
        source = chip.cite(chip.limits.kernel_size)
        yield info("dense_kernel", name, message, kernel_words(made), source=source)


def _unusual(node: Conv2d) -> str:
    """What a core has no field for: ``2 groups and dilation 1x3``."""
    height, width = node.weight.shape[2:]
    found = [f"{node.groups} groups"] * (node.groups != 1)
    found += [f"dilation {by(node.dilation)}"] * (node.dilation != (1, 1))
    found += [f"kernel {height}x{width}"] * (height != width)
    return " and ".join(found)


square_pooling = node_rule(
    "square_pooling",
    SumPool2d,
    (
        lambda node: node.kernel[0] != node.kernel[1] or node.stride != node.kernel,
        "pools {node.kernel} with stride {node.stride}; {chip} pools squares with the stride of "
        "their side",
    ),
)


NEURONS: GraphRules[SpeckChip] = (
    integrate_and_fire,
    reset,
    comparison,
    one_number_a_core,
    membrane_floor,
    plain_neurons,
    dense_kernel,
    square_pooling,
)

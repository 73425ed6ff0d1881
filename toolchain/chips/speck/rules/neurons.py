"""Rules on the real-valued graph about what a single layer computes.

Max pooling has no rule: a Graph cannot represent it, so extraction refuses it by the layer's name.
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
from toolchain.chips.speck.faults import shape_text
from toolchain.chips.speck.lower.dense import dense
from toolchain.chips.speck.program import kernel_words
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Conv2d, Graph, Neuron, SumPool2d
from toolchain.report import count

__all__ = ["NEURONS"]


def _unsupported_reset(node: Neuron) -> bool:
    """Return whether the reset is neither subtraction of the threshold nor return to zero."""
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
        _unsupported_reset,
        lambda node: (
            f"resets by {reset_of(node)!r}; {{chip}} subtracts the threshold or returns "
            "to zero, in the same step"
        ),
    ),
)


def _several_values(field: str) -> NodeFault[Neuron]:
    """Return the fault for a field with several values among the neurons."""

    def values(node: Neuron) -> int:
        value: Array | None = getattr(node, field)
        return 0 if value is None else len(np.unique(value))

    return (
        lambda node: values(node) > 1,
        lambda node: f"has {values(node)} different values of {field}, a core of {{chip}} has one",
    )


one_number_a_core = node_rule(
    "one_number_a_core", Neuron, _several_values("v_threshold"), _several_values("v_min")
)


def _floor(node: Neuron) -> float:
    return 0.0 if node.v_min is None else float(node.v_min.max())


membrane_floor = node_rule(
    "membrane_floor",
    Neuron,
    (
        lambda node: _floor(node) > 0,
        lambda node: (
            f"has a membrane floor (v_min) of {_floor(node):g}, {{chip}} supports 0 or less"
        ),
    ),
)


def _bias_fault(node: Neuron) -> str:
    """Return the fault of neurons with a bias of their own."""
    if len(np.unique(node.bias)) == 1:
        return "bias must be 0 on {chip}"
    return (
        "has biases that differ within a channel, as a shift before zero padding makes them; "
        "{chip} has one for each channel, in the weights"
    )


plain_neurons = node_rule(
    "plain_neurons",
    Neuron,
    *required_values(v_leak=0, spike_scale=1, gain=1),
    (lambda node: np.any(node.bias), _bias_fault),
    (lambda node: node.max_spikes == 1, "is capped at 1 spike per step; {chip} has no such cap"),
    (
        lambda node: node.max_spikes not in (1, None),
        "is capped at {node.max_spikes} spikes per step; {chip} has no such cap",
    ),
)


def dense_kernel(graph: Graph, chip: SpeckChip) -> Findings:
    """Report kernels with groups, dilation or two sides, which are filled with zeros."""
    for name, node in graph.of(Conv2d).items():
        kernel = dense(node, graph.input_shape_of(name), chip.limits)
        own, written = node.weight.shape, kernel.weight.shape
        if own == written:
            continue
        message = (
            f"{_unsupported_settings(node)} written as one dense {written[2]}x{written[3]} kernel, "
            f"exactly: {count(kernel.weight.size - node.weight.size)} of "
            f"{count(kernel.weight.size)} weights are zeros. It takes "
            f"{count(kernel_words(written))} kernel words instead of {count(kernel_words(own))}, "
            f"and on {chip.name} each zero is an update too"
        )
        source = chip.cite(chip.limits.kernel_size)
        yield info("dense_kernel", name, message, kernel_words(written), source=source)


def _unsupported_settings(node: Conv2d) -> str:
    """Return the settings that a core has no field for: ``2 groups and dilation 1x3``."""
    height, width = node.weight.shape[2:]
    settings = []
    if node.groups != 1:
        settings.append(f"{node.groups} groups")
    if node.dilation != (1, 1):
        settings.append(f"dilation {shape_text(node.dilation)}")
    if height != width:
        settings.append(f"kernel {height}x{width}")
    return " and ".join(settings)


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

"""Hints for findings about the float network: layers with other settings.

Such a layer computes something different, so the network has to be trained with it, or the user
accepts it as an approximation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from toolchain.chips.rules.findings import is_error
from toolchain.chips.rules.hints import helpful_approximations, helpful_edits
from toolchain.chips.rules.trial import Case
from toolchain.chips.speck.approximations import approximate
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import GraphError, Remedy
from toolchain.ir import AvgPool2d, Graph, Neuron, Node, SumPool2d

__all__ = ["APPROXIMATIONS", "REWRITES", "advise", "lower_floor"]

GraphCase: TypeAlias = Case[Graph, SpeckChip]
Rewrite: TypeAlias = Callable[[Node], tuple[str, Node] | None]
"""Function from a layer to an action in words and the new layer; None where it does not apply."""


def advise(case: GraphCase) -> Iterator[Remedy]:
    """Yield the remedies for an error."""
    if not is_error(case.finding):
        return
    yield from helpful_edits(case, {case.finding.rule: [rewrite_layer]})
    yield from helpful_approximations(case, APPROXIMATIONS, approximate)


def rewrite_layer(case: GraphCase) -> Iterator[tuple[str, Graph | None]]:
    """Yield the graph with the layer of the finding rewritten."""
    graph, name = case.subject, case.finding.where
    rewrite = REWRITES.get(case.finding.rule)
    if rewrite is as_sum and name in graph.outputs:
        return  # no pool can be an output
    if rewrite is None or (found := rewrite(graph[name])) is None:
        return
    words, node = found
    try:
        yield words, graph.replace({name: node})
    except GraphError:  # the next layer expects another shape
        return


def as_sum(node: Node) -> tuple[str, Node] | None:
    """Replace an average by a sum."""
    if not isinstance(node, AvgPool2d):
        return None
    times = node.kernel[0] * node.kernel[1]
    return (
        f"SumPool2d is supported; its output is {times} times as large",
        SumPool2d(kernel=node.kernel, stride=node.stride),
    )


def _neuron(text: str, **changes: Any) -> Rewrite:
    def rewrite(node: Node) -> tuple[str, Node] | None:
        if not isinstance(node, Neuron) or node.synapses > 1:
            return None
        return text, replace(node, **changes)

    return rewrite


def one_value(node: Node) -> tuple[str, Node] | None:
    """Replace the values of the neurons by their mean."""
    if not isinstance(node, Neuron):
        return None
    means: dict[str, Any] = {"v_threshold": node.v_threshold.mean()}
    if node.v_min is not None:
        means["v_min"] = node.v_min.mean()
    words = ", ".join(f"{field} {value:g}" for field, value in means.items())
    return f"one value for all, such as the mean ({words}), is supported", replace(node, **means)


def plain(node: Node) -> tuple[str, Node] | None:
    """Remove the settings of the neurons beyond threshold and floor."""
    if not isinstance(node, Neuron):
        return None
    usual = {"v_leak": 0, "bias": 0, "spike_scale": 1, "gain": 1}
    changes: dict[str, Any] = {
        field: np.asarray(float(value))
        for field, value in usual.items()
        if np.any(getattr(node, field) != value)
    }
    words = [f"{field} {usual[field]}" for field in changes]
    if node.max_spikes is not None:
        changes["max_spikes"] = None
        words.append("any number of spikes per step (MultiSpike)")
    return f"train with {' and '.join(words)}: supported", replace(node, **changes)


def lower_floor(node: Node) -> tuple[str, Node] | None:
    """Set the floor as far below rest as the threshold is above."""
    if not isinstance(node, Neuron):
        return None
    floor = -float(node.v_threshold.mean())
    return f"v_min {floor:g} is supported", replace(node, v_min=np.asarray(floor))


APPROXIMATIONS = {
    "integrate_and_fire": ("exponential_leak->linear_leak",),
    "reset": ("delayed_reset->same_step",),
    "comparison": ("gt->ge",),
    "plain_neurons": ("spike_cap->chip_cap",),
}
"""The approximations that may resolve the findings of a rule."""

REWRITES: dict[str, Rewrite] = {
    "node_kinds": as_sum,
    "integrate_and_fire": _neuron(
        "train as IAF (no decay, no synaptic current): supported",
        alpha_mem=np.ones(()),
        alpha_syn=None,
    ),
    "reset": _neuron(
        "train with a reset that subtracts the threshold: supported",
        reset="subtract",
        reset_when="same",
        reset_amount=None,
        v_reset=np.zeros(()),
    ),
    "comparison": _neuron("train with spikes at v_mem >= v_threshold: supported", compare="ge"),
    "one_number_a_core": one_value,
    "membrane_floor": lower_floor,
    "plain_neurons": plain,
}

"""What would help against a finding about the float network: remedies that were tried.

A remedy is a layer written otherwise. What it computes is not the same, so the network has to be
trained with it, or an approximation that a user may accept. It becomes a hint if all rules, run
again on the network with it, no longer say what they said of that layer, and nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from toolchain.chips.allow import accepting
from toolchain.chips.speck.approximations import approximate
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic, GraphError, Severity
from toolchain.ir import AvgPool2d, Graph, Neuron, Node, SumPool2d

__all__ = ["GraphRule", "advised"]

GraphRule: TypeAlias = Callable[[Graph, SpeckChip], Iterator[Diagnostic]]
"""A question to a graph about a chip; it yields what it finds and changes nothing."""

Remedy: TypeAlias = Callable[[Node], tuple[str, Node] | None]
"""A layer to an action in words and the layer after it; None where it does not apply."""


def advised(graph: Graph, chip: SpeckChip, rules: tuple[GraphRule, ...]) -> tuple[Diagnostic, ...]:
    """Every finding of ``rules`` in their order, errors with a hint where a remedy helped."""
    found = tuple(finding for rule in rules for finding in rule(graph, chip))
    tried: dict[tuple[str, ...], tuple[Diagnostic, ...]] = {}

    def accepting_all(names: tuple[str, ...]) -> tuple[Diagnostic, ...]:
        if names not in tried:
            tried[names] = _errors(approximate(graph, chip, names)[0], chip, rules)
        return tried[names]

    def hints(finding: Diagnostic) -> str:
        if finding.severity is not Severity.ERROR:
            return finding.hint
        names = ACCEPTED.get(finding.rule, ())
        told = (
            _hint(finding, found, graph, chip, rules),
            accepting(finding, names, accepting_all),
        )
        return "; or ".join(filter(None, told))

    return tuple(replace(finding, hint=hints(finding)) for finding in found)


def _errors(graph: Graph, chip: SpeckChip, rules: tuple[GraphRule, ...]) -> tuple[Diagnostic, ...]:
    found = (finding for rule in rules for finding in rule(graph, chip))
    return tuple(finding for finding in found if finding.severity is Severity.ERROR)


def _hint(
    finding: Diagnostic,
    found: tuple[Diagnostic, ...],
    graph: Graph,
    chip: SpeckChip,
    rules: tuple[GraphRule, ...],
) -> str:
    remedy = REMEDIES.get(finding.rule)
    if remedy is None:
        return finding.hint
    tried = remedy(graph[finding.where])
    changed = None if tried is None else _exchanged(graph, finding.where, tried[1])
    if tried is None or changed is None:
        return ""
    left = _errors(changed, chip, rules)
    known = {(f.rule, f.where) for f in found}
    gone = all((f.rule, f.where) != (finding.rule, finding.where) for f in left)
    return tried[0] if gone and all((f.rule, f.where) in known for f in left) else ""


def _exchanged(graph: Graph, name: str, node: Node) -> Graph | None:
    try:
        return graph.replace({name: node})
    except GraphError:  # what follows takes another shape
        return None


def as_sum(node: Node) -> tuple[str, Node] | None:
    """A sum in place of an average."""
    if not isinstance(node, AvgPool2d):
        return None
    times = node.kernel[0] * node.kernel[1]
    return (
        f"SumPool2d is taken; what follows then gets {times} times as much",
        SumPool2d(kernel=node.kernel, stride=node.stride),
    )


def _neuron(text: str, **changes: Any) -> Remedy:
    def remedy(node: Node) -> tuple[str, Node] | None:
        if not isinstance(node, Neuron) or node.synapses > 1:
            return None
        return text, replace(node, **changes)

    return remedy


def one_value(node: Node) -> tuple[str, Node] | None:
    """The mean for all neurons of the layer."""
    if not isinstance(node, Neuron):
        return None
    means: dict[str, Any] = {"v_threshold": node.v_threshold.mean()}
    if node.v_min is not None:
        means["v_min"] = node.v_min.mean()
    words = ", ".join(f"{field} {value:g}" for field, value in means.items())
    return f"one value for all, such as the mean ({words}), is taken", replace(node, **means)


def plain(node: Node) -> tuple[str, Node] | None:
    """Without what the neurons have beyond threshold and floor."""
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
        words.append("any number of spikes a step (MultiSpike)")
    return f"trained with {' and '.join(words)} it is taken", replace(node, **changes)


def lower_floor(node: Node) -> tuple[str, Node] | None:
    """A floor as far below rest as the threshold is above."""
    if not isinstance(node, Neuron):
        return None
    floor = -float(node.v_threshold.mean())
    return f"v_min {floor:g} is taken", replace(node, v_min=np.asarray(floor))


ACCEPTED = {
    "integrate_and_fire": ("exponential_leak->linear_leak",),
    "reset": ("delayed_reset->same_step",),
    "comparison": ("gt->ge",),
    "plain_neurons": ("spike_cap->chip_cap",),
}
"""The approximations that may help against the findings of a rule."""

REMEDIES: dict[str, Remedy] = {
    "node_kinds": as_sum,
    "integrate_and_fire": _neuron(
        "trained as IAF, with neither decay nor synaptic current, it is taken",
        alpha_mem=np.ones(()),
        alpha_syn=None,
    ),
    "reset": _neuron(
        "trained with a reset that subtracts the threshold it is taken",
        reset="subtract",
        reset_when="same",
        reset_amount=None,
        v_reset=np.zeros(()),
    ),
    "comparison": _neuron("trained to fire at the threshold it is taken", compare="ge"),
    "one_number_a_core": one_value,
    "membrane_floor": lower_floor,
    "plain_neurons": plain,
}

"""Rules of a toy chip, and their remedies."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from toolchain.chips.allow import RewriteResult, fire_at_threshold
from toolchain.chips.rules.findings import Findings, Rule, at_most, error
from toolchain.chips.rules.graph import comparison, node_rule, required_values
from toolchain.chips.rules.hints import check_rules, helpful_approximations
from toolchain.chips.rules.trial import Case, Trial
from toolchain.diagnostics import Diagnostic, Remedy
from toolchain.ir import Graph, Input, Linear, Neuron, Output
from toy_plugin.program import ToyProgram
from toy_plugin.spec import ToyChip

__all__ = ["APPROXIMATIONS", "approximate", "can_lower", "check", "check_graph"]

APPROXIMATIONS = {"gt->ge": fire_at_threshold}


def approximate(graph: Graph, chip: ToyChip, allow: Collection[str]) -> RewriteResult:
    """Apply the only approximation if ``allow`` contains it."""
    return fire_at_threshold(graph, chip) if "gt->ge" in allow else (graph, ())


def layer_kinds(graph: Graph, chip: ToyChip) -> Findings:
    """Check that the network is dense layers in series, each followed by its neurons."""
    for name, node in graph.nodes.items():
        if not isinstance(node, (Input, Linear, Neuron, Output)) or len(graph.post(name)) > 1:
            kind = type(node).__name__
            yield error(
                "layer_kinds", name, f"is {kind}; {chip.name} supports dense layers in series only"
            )
        elif isinstance(node, Linear):
            then = graph.after(name)
            if then is None or not isinstance(graph[then], Neuron):
                yield error(
                    "layer_kinds", name, f"has no neurons after it, which {chip.name} requires"
                )


integrate_and_fire = node_rule(
    "integrate_and_fire",
    Neuron,
    (lambda node: np.any(node.alpha_mem != 1), "decays; neurons of {chip} only integrate"),
    (lambda node: node.alpha_syn is not None, "has a synapse; neurons of {chip} have none"),
    (lambda node: node.reset != "subtract", "is reset to a value; {chip} subtracts the threshold"),
    (lambda node: np.ptp(node.v_threshold) > 0, "has several thresholds; {chip} has one per layer"),
    (lambda node: node.v_min is not None, "has a lower limit of the membrane; {chip} has none"),
    *required_values(v_leak=0, bias=0, v_init=0, spike_scale=1, gain=1),
)
no_bias = node_rule(
    "no_bias", Linear, (lambda node: node.bias is not None, "has biases, {chip} has none")
)
GRAPH: tuple[Rule[Graph, ToyChip], ...] = (layer_kinds, integrate_and_fire, no_bias, comparison)


def check_graph(graph: Graph, chip: ToyChip) -> tuple[Diagnostic, ...]:
    """Return the findings of all rules on graphs."""
    return check_rules(graph, chip, rules=GRAPH, advise=_advise)


def _advise(case: Case[Graph, ToyChip]) -> Iterator[Remedy]:
    return helpful_approximations(case, {"comparison": ("gt->ge",)}, approximate)


def can_lower(graph: Graph, chip: ToyChip) -> bool:
    """Return True if the graph is dense layers in series."""
    return Trial(subject=graph, chip=chip, rules=(layer_kinds,)).fits


def input_channels(program: ToyProgram, chip: ToyChip) -> Findings:
    """Check that the input has no more channels than the chip."""
    need, limit = program.layers[0].weight.shape[1], chip.limits.input_channels
    yield from at_most("input_channels", chip, program.input_name, need, "channels", limit)


def neurons(program: ToyProgram, chip: ToyChip) -> Findings:
    """Check that all layers together have no more neurons than the chip."""
    need = sum(len(layer.weight) for layer in program.layers)
    yield from at_most("neurons", chip, "network", need, "neurons", chip.limits.neurons)


PROGRAM: tuple[Rule[ToyProgram, ToyChip], ...] = (input_channels, neurons)


def check(program: ToyProgram, chip: ToyChip) -> tuple[Diagnostic, ...]:
    """Return the findings of all rules on programs."""
    return check_rules(program, chip, rules=PROGRAM, advise=lambda case: iter(()))

"""Remedies for findings about the real-valued network: another chip, approximations."""

from __future__ import annotations

from collections.abc import Iterator

from toolchain.chips.rules.findings import is_error
from toolchain.chips.rules.hints import helpful_approximations
from toolchain.chips.rules.trial import Case
from toolchain.chips.xylo.approximations import approximate
from toolchain.chips.xylo.readout import read_membrane
from toolchain.chips.xylo.rules.hints import has_bias
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Remedy
from toolchain.ir import Graph, Neuron

__all__ = ["APPROXIMATIONS", "advise"]

APPROXIMATIONS = {
    "reset": ("reset_to_zero->subtract", "delayed_reset->same_step"),
    "comparison": ("gt->ge",),
    "potentials": ("v_min->none", "v_init->zero"),
    "synapse": ("no_synapse->fastest_synapse",),
    "time_constants": ("no_leak->slowest_leak", "fast_leak->fastest_leak"),
    "linear_bias": ("linear_bias->neuron_bias",),
    "spike_caps": ("spike_cap->chip_cap",),
    "path_lengths": ("delays->hops",),
}
"""Approximations to try against the findings of a rule."""


def advise(case: Case[Graph, XyloChip]) -> Iterator[Remedy]:
    """Yield the remedies that were tried and remove an error."""
    if not is_error(case.finding):
        return
    others = case.trial.on_other_chips(lambda graph, _: graph, has_bias)
    names = [there.chip.name for there in others if case.gone(there)]
    if names:
        yield Remedy(f"{' or '.join(names)} can do this")
    yield from _membrane_read(case)
    yield from helpful_approximations(case, APPROXIMATIONS, approximate)


def _membrane_read(case: Case[Graph, XyloChip]) -> Iterator[Remedy]:
    """Read the membrane of an output that is never reset."""
    name = case.finding.where
    node = case.subject.of(Neuron).get(name)
    if case.finding.rule != "reset" or node is None or node.reset != "none":
        return
    if name in case.subject.outputs and case.helps(read_membrane(case.subject, name)):
        yield Remedy('read its membrane: options=XyloOptions(readout="v_mem")')

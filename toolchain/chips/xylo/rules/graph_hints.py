"""Remedies for findings about the real-valued network: another chip, approximations."""

from __future__ import annotations

from collections.abc import Iterator

from toolchain.chips.rules.findings import is_error
from toolchain.chips.rules.hints import helpful_approximations
from toolchain.chips.rules.trial import Case
from toolchain.chips.xylo.approximations import approximate
from toolchain.chips.xylo.rules.hints import has_bias
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Remedy
from toolchain.ir import Graph

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
    yield from helpful_approximations(case, APPROXIMATIONS, approximate)

"""What would help against a finding: remedies that were tried, and only those that worked.

A remedy is a generator of trials: an action in words, and the program and chip as they are after
it. All rules are run on these. The action becomes a hint if the finding is gone and no new error
has come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolchain.chips.load import list_chips, load_chip
from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.rules import edits
from toolchain.chips.xylo.rules.findings import Rule, some
from toolchain.chips.xylo.rules.paths import loops_of, never_fires, never_read
from toolchain.chips.xylo.rules.values import shifts_of
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.report import count

__all__ = ["advised"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A finding, what it was found in, and all rules with all that they found."""

    finding: Diagnostic
    program: XyloProgram
    chip: XyloChip
    rules: tuple[Rule, ...]
    found: tuple[Diagnostic, ...]

    def gone(self, program: XyloProgram) -> bool:
        """Whether the finding's own rule has less to say of ``program``, and not this."""
        (rule,) = (r for r in self.rules if r.__name__ == self.finding.rule)
        before = [f for f in self.found if f.rule == self.finding.rule]
        after = [*rule(program, self.chip)]
        return len(after) < len(before) and self.finding.where not in {f.where for f in after}

    def helps(self, program: XyloProgram) -> bool:
        """Whether the finding is gone, and no error is there that was not there before."""
        known = {(f.rule, f.where) for f in self.found}
        return self.gone(program) and all(
            (f.rule, f.where) in known for f in errors(program, self.chip, self.rules)
        )

    @property
    def limit(self) -> int:
        """The finding's limit."""
        assert self.finding.limit is not None
        return int(self.finding.limit)


Remedy = Callable[[Case], Iterator[tuple[str, XyloProgram]]]
"""Actions in words, each with the program after it."""


def advised(
    finding: Diagnostic,
    found: tuple[Diagnostic, ...],
    program: XyloProgram,
    chip: XyloChip,
    rules: tuple[Rule, ...],
) -> Diagnostic:
    """``finding`` with a hint for everything that was tried and helped.

    Args:
        finding: one of ``found``.
        found: all findings of ``rules`` about ``program`` on ``chip``.
        program, chip: what they are about.
        rules: all rules of the family.
    """
    case = Case(finding=finding, program=program, chip=chip, rules=rules, found=found)
    told = [*other_chips(case)] if finding.rule in ON_ANOTHER_CHIP else []
    for remedy in REMEDIES.get(finding.rule, ()):
        told += [text for text, changed in remedy(case) if case.helps(changed)]
    return replace(finding, hint="; or ".join(told))


def errors(program: XyloProgram, chip: XyloChip, rules: tuple[Rule, ...]) -> list[Diagnostic]:
    """What stops ``program`` on ``chip``."""
    found = (f for rule in rules for f in rule(program, chip))
    return [f for f in found if f.severity is Severity.ERROR]


# ---- another chip ----


def other_chips(case: Case) -> Iterator[str]:
    """The chips that take the whole program; failing these, those that have enough of this."""
    fitting, enough = [], []
    for chip in _siblings(case.chip):
        there = edits.moved(case.program, chip)
        if there is None:
            continue
        stopping = {f.rule for f in errors(there, chip, case.rules)}
        if not stopping:
            fitting.append(chip.name)
        elif case.finding.rule not in stopping:
            enough.append(chip.name)
    if fitting:
        yield f"the program fits {' or '.join(fitting)}"
    elif enough:
        yield f"{' or '.join(enough)} has enough of these"


def _siblings(chip: XyloChip) -> list[XyloChip]:
    """The other chips of the family; nobody is sent to core v1, which has no bias."""
    others = [load_chip(name) for name in list_chips() if name != chip.name]
    return [c for c in others if isinstance(c, XyloChip) and c.integer_core != "v1"]


# ---- fewer neurons ----


def without_idle_neurons(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """Leave out what never fires or is never read; the outputs stay the same."""
    silent, _ = never_fires(case.program)
    idle = silent | never_read(case.program)
    smaller = edits.without_neurons(case.program, idle) if idle.any() else None
    if smaller is not None:
        many = some(int(idle.sum()), case.program.hidden, "hidden neuron")
        yield f"without {many} that never fire or are never read it fits, same outputs", smaller


def without_idle_channels(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """Leave out input channels that reach nothing."""
    used = case.program.weights_in.any(axis=(1, 2))
    many = int((~used).sum())
    if 0 < many < case.program.inputs:
        smaller = replace(case.program, weights_in=case.program.weights_in[used])
        yield f"without the {many} channel{'s' * (many > 1)} that reach nothing it fits", smaller


def fewer_neurons(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """As many neurons of one layer as fit: the layer in which most can be saved."""
    layer = _layer_to_cut(case)
    size = layer.stop - layer.start
    kept, over = 0, size
    while over - kept > 1:
        middle = (kept + over) // 2
        smaller = edits.narrower(case.program, layer, middle)
        if smaller is not None and case.gone(smaller):
            kept = middle
        else:
            over = middle
    smaller = edits.narrower(case.program, layer, kept) if kept else None
    if smaller is not None:
        yield f"{layer.name!r} {count(size)} -> {count(kept)} neurons fits", smaller


def _layer_to_cut(case: Case) -> Population:
    """The largest layer, among the targets of the finding's own where it is about fan-out."""
    hidden = [p for p in case.program.populations if p.role == "hidden"]
    entries = np.asarray(case.program.weights_rec.any(axis=2))
    if case.finding.rule == "hidden_neurons":
        return max(hidden, key=lambda p: p.stop - p.start)
    if case.finding.rule == "fan_out_memory":
        return max(
            hidden,
            key=lambda p: int(entries[p.start : p.stop].sum() + entries[:, p.start : p.stop].sum()),
        )
    own = _layer(case)
    if case.finding.rule != "fan_out":
        return own
    rows = entries[own.start : own.stop]
    return max(hidden, key=lambda p: int(rows[:, p.start : p.stop].sum(axis=1).max()))


def _layer(case: Case) -> Population:
    """The layer that the finding is about."""
    return next(p for p in case.program.populations if p.name == case.finding.where)


def numbered(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """Neurons numbered so that the input's come first and the outputs' last."""
    if not any(case.program.aliases):
        yield (
            "numbered with the neurons that hear the input first and those read out last it fits",
            edits.by_neuron(case.program),
        )


# ---- fewer connections ----


def prune_each(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """Leave out the smallest weights of every neuron of the layer that has too many."""
    layer = _layer(case)
    dropped = edits.weakest_of_each(case.program, range(layer.start, layer.stop), case.limit)
    many = int(dropped.sum(axis=1).max())
    weights = f"{f'up to {count(many)} of ' if many > 1 else ''}each neuron's smallest weights"
    text = f"prune {weights} between hidden layers: {_largest(case, dropped)}"
    yield text, edits.without_connections(case.program, dropped)


def prune_all(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """Leave out the smallest weights between hidden neurons."""
    dropped = edits.weakest_of_all(case.program, case.limit)
    many = int(dropped.sum())
    weights = f"{count(many)} smallest weights" if many > 1 else "smallest weight"
    text = f"prune the {weights} between hidden layers: {_largest(case, dropped)}"
    yield text, edits.without_connections(case.program, dropped)


def _largest(case: Case, dropped: edits.Mask) -> str:
    top = 2 ** (int(case.chip.limits.weight_width.value) - 1) - 1
    return f"the largest removed is {edits.strengths(case.program)[dropped].max()} of {top}"


# ---- other numbers in the registers ----


def one_current(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """Use the first synapse alone, where no neuron uses both."""
    if (single := edits.one_current(case.program)) is not None:
        yield "no neuron uses two currents: written with one, the network is the same", single


def threshold_of_one(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """A threshold of 1 for neurons that stay silent with it."""
    layer = _layer(case)
    name = "threshold" if layer.role == "hidden" else "threshold_out"
    values = getattr(case.program, name).copy()
    own = values[layer.start : layer.stop]
    low = own < 1
    own[low] = 1
    changes: dict[str, Any] = {name: values}
    raised = replace(case.program, **changes)
    silent = never_fires(raised)[layer.role == "output"]
    if silent[layer.start : layer.stop][low].all():
        yield "nothing drives these neurons up: with threshold 1 they stay silent", raised


def smaller_scale(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """A layer's integers divided by the smallest power of two that helps."""
    layer = _layer(case)
    for exponent in range(1, 9 if case.chip.limits.bias_width else 1):
        smaller = edits.rescaled(case.program, layer, 2**exponent)
        if case.gone(smaller):
            yield (
                f"weights, thresholds and biases of {layer.name} divided by {2**exponent} and "
                "rounded fit",
                smaller,
            )
            return


def smaller_shift(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """Larger weights and a smaller shift, which are the same numbers."""
    name = shifts_of(case.program)[case.finding.where]
    weights = name.replace("weight_shift", "weights")
    factor = 2 ** (getattr(case.program, name) - case.limit)
    if (smaller := edits.smaller_shift(case.program, name, case.limit)) is not None:
        yield f"{weights} times {factor} with {name} {case.limit} are the same numbers", smaller


def dash_of_one(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """The shortest decay that is heard."""
    layer = _layer(case)
    suffix = "_out" if layer.role == "output" else ""
    changes: dict[str, Any] = {}
    for name in ("dash_mem", "dash_syn", *([] if suffix else ["dash_syn_2"])):
        dashes = getattr(case.program, name + suffix).copy()
        own = dashes[layer.start : layer.stop]
        np.maximum(own, 1, out=own)
        changes[name + suffix] = dashes
    yield "dash 1 is the shortest decay that keeps something", replace(case.program, **changes)


# ---- aliases ----


def opened_loops(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """Every loop that begins in the layer, without the alias that closes it."""
    layer = _layer(case)
    loops = [way for way in loops_of(case.program) if layer.start <= way[0] < layer.stop]
    closing = {(way[-1], way[0]) for way in loops}
    aliases = tuple(
        tuple(post for post in targets if (pre, post) not in closing)
        for pre, targets in enumerate(case.program.aliases)
    )
    many = f"{len(loops)} aliases that close loops" if len(loops) > 1 else "alias that closes it"
    yield f"without the {many} there is none", replace(case.program, aliases=aliases)


# ---- time ----


def longer_step(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """A timestep in which the work ends, to three digits."""
    clock = case.chip.clock.main_clock.to("Hz")
    need = cycles_per_step(case.program, case.chip, input_active=1.0, hidden_active=1.0) / clock
    digit = 10.0 ** (np.floor(np.log10(need)) - 2)
    dt = float(f"{np.ceil(need / digit) * digit:.3g}")
    yield f"dt of {dt:g} s or longer", replace(case.program, dt=dt)


def step_of_the_sensor(case: Case) -> Iterator[tuple[str, XyloProgram]]:
    """The timestep of real time."""
    step = case.chip.clock.real_time_step
    assert step is not None
    yield f"dt of {step.to('s'):g} s", replace(case.program, dt=step.to("s"))


ON_ANOTHER_CHIP = (
    "input_channels",
    "hidden_neurons",
    "output_neurons",
    "synapses",
    "input_expansion",
    "output_expansion",
    "fan_out",
    "fan_out_memory",
    "alias_targets",
    "biases",
    "weight_shifts",
    "widths",
)
REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "input_channels": (without_idle_channels,),
    "hidden_neurons": (without_idle_neurons, fewer_neurons),
    "synapses": (one_current,),
    "input_expansion": (numbered, without_idle_neurons, fewer_neurons),
    "output_expansion": (numbered, without_idle_neurons, fewer_neurons),
    "fan_out": (without_idle_neurons, prune_each, fewer_neurons),
    "fan_out_memory": (without_idle_neurons, prune_all, fewer_neurons),
    "alias_loops": (opened_loops,),
    "thresholds": (threshold_of_one,),
    "biases": (smaller_scale,),
    "weight_shifts": (smaller_shift,),
    "decays": (dash_of_one,),
    "real_time": (longer_step,),
    "real_time_step": (step_of_the_sensor,),
}

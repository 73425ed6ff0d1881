"""Remedies for findings about a program: actions in words, each with the edited program.

Those that remove the finding become its hint; see ``toolchain.chips.rules.hints``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from toolchain.chips.rules.findings import some
from toolchain.chips.rules.hints import Edits, EditsOf, fitting_chips, helpful_edits, largest
from toolchain.chips.rules.trial import Case
from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.rules import edits
from toolchain.chips.xylo.rules.paths import Mask, loops_of, never_fires, never_read
from toolchain.chips.xylo.rules.values import shifts_of
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Remedy, Severity
from toolchain.report import count, plural

__all__ = ["advise", "has_bias"]

XyloCase: TypeAlias = Case[XyloProgram, XyloChip]


def advise(case: XyloCase) -> Iterator[Remedy]:
    """Yield remedies: another chip, then edits of the program."""
    if case.finding.rule in ON_ANOTHER_CHIP:
        yield from other_chips(case)
    yield from helpful_edits(case, EDITS)


# ---- another chip ----


def other_chips(case: XyloCase) -> Iterator[Remedy]:
    """Yield chips that fit the whole program, or else those without this finding."""
    others = [*case.trial.on_other_chips(edits.moved, has_bias)]
    whole = [*fitting_chips(others)]
    enough = [there.chip.name for there in others if case.gone(there)]
    if enough and not whole:
        yield Remedy(f"{' or '.join(enough)} has enough of these")
    yield from whole


def has_bias(chip: XyloChip) -> bool:
    """Return whether the chip may be suggested: core v1 is not, since it has no bias."""
    return chip.integer_core != "v1"


# ---- fewer neurons ----


def without_idle_neurons(case: XyloCase) -> Edits[XyloProgram]:
    """Remove neurons that never fire or are never read; the outputs stay the same."""
    silent, _ = never_fires(case.subject)
    idle = silent | never_read(case.subject)
    smaller = edits.without_neurons(case.subject, idle) if idle.any() else None
    if smaller is not None:
        many = some(int(idle.sum()), case.subject.hidden, "hidden neuron")
        yield (
            f"it fits without {many} that never fire or are never read, with the same outputs",
            smaller,
        )


def without_idle_channels(case: XyloCase) -> Edits[XyloProgram]:
    """Remove input channels without weights."""
    used = case.subject.weights_in.any(axis=(1, 2))
    many = int((~used).sum())
    if 0 < many < case.subject.inputs:
        smaller = replace(case.subject, weights_in=case.subject.weights_in[used])
        yield f"it fits without the {plural(many, 'channel')} that reach nothing", smaller


def fewer_neurons(case: XyloCase) -> Edits[XyloProgram]:
    """Reduce one layer to the most neurons that fit: the layer in which most can be saved."""
    layer = _layer_to_cut(case)
    size = layer.stop - layer.start
    kept = largest(size, lambda most: case.gone(edits.narrower(case.subject, layer, most)))
    smaller = edits.narrower(case.subject, layer, kept) if kept else None
    if smaller is not None:
        yield f"{layer.name!r} {count(size)} -> {count(kept)} neurons fits", smaller


def _layer_to_cut(case: XyloCase) -> Population:
    """Return the largest layer, or for fan-out the largest target layer."""
    hidden = [p for p in case.subject.populations if p.role == "hidden"]
    entries = np.asarray(case.subject.weights_rec.any(axis=2))
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


def _limit(case: XyloCase) -> int:
    """Return the finding's limit."""
    assert case.finding.limit is not None
    return int(case.finding.limit)


def _layer(case: XyloCase) -> Population:
    """Return the layer of the finding."""
    return next(p for p in case.subject.populations if p.name == case.finding.where)


def numbered(case: XyloCase) -> Edits[XyloProgram]:
    """Renumber neurons, those fed by the input first and those read out last."""
    if not any(case.subject.aliases):
        yield (
            (
                "it fits with neurons renumbered, those fed by the input first and those read out "
                "last"
            ),
            edits.by_neuron(case.subject),
        )


# ---- fewer connections ----


def prune_each(case: XyloCase) -> Edits[XyloProgram]:
    """Prune the smallest weights of every neuron of the layer with too many."""
    layer = _layer(case)
    dropped = edits.weakest_of_each(case.subject, range(layer.start, layer.stop), _limit(case))
    many = int(dropped.sum(axis=1).max())
    weights = f"{f'up to {count(many)} of ' if many > 1 else ''}each neuron's smallest weights"
    text = f"prune {weights} between hidden layers: {_largest(case, dropped)}"
    yield text, edits.without_connections(case.subject, dropped)


def prune_all(case: XyloCase) -> Edits[XyloProgram]:
    """Prune the smallest weights between hidden neurons."""
    dropped = edits.weakest_of_all(case.subject, _limit(case))
    many = int(dropped.sum())
    weights = f"{count(many)} smallest weights" if many > 1 else "smallest weight"
    text = f"prune the {weights} between hidden layers: {_largest(case, dropped)}"
    yield text, edits.without_connections(case.subject, dropped)


def _largest(case: XyloCase, dropped: Mask) -> str:
    top = 2 ** (int(case.chip.limits.weight_width.value) - 1) - 1
    return f"the largest removed is {edits.strengths(case.subject)[dropped].max()} of {top}"


# ---- other numbers in the registers ----


def one_current(case: XyloCase) -> Edits[XyloProgram]:
    """Use the first synapse alone, where no neuron uses both."""
    if (single := edits.one_current(case.subject)) is not None:
        yield "no neuron uses two currents: with one, the network is the same", single


def threshold_of_one(case: XyloCase) -> Edits[XyloProgram]:
    """Set the threshold to 1 for neurons that never fire with it."""
    layer = _layer(case)
    name = "threshold" if layer.role == "hidden" else "threshold_out"
    values = getattr(case.subject, name).copy()
    own = values[layer.start : layer.stop]
    low = own < 1
    own[low] = 1
    changes: dict[str, Any] = {name: values}
    raised = replace(case.subject, **changes)
    silent = never_fires(raised)[layer.role == "output"]
    if silent[layer.start : layer.stop][low].all():
        yield "these neurons have no positive input: with threshold 1 they never fire", raised


def smaller_scale(case: XyloCase) -> Edits[XyloProgram]:
    """Divide a layer's integers by the smallest power of two that helps."""
    layer = _layer(case)
    for exponent in range(1, 9 if case.chip.limits.bias_width else 1):
        smaller = edits.rescaled(case.subject, layer, 2**exponent)
        if case.gone(smaller):
            yield (
                f"weights, thresholds and biases of {layer.name} divided by {2**exponent} and "
                "rounded fit",
                smaller,
            )
            return


def smaller_shift(case: XyloCase) -> Edits[XyloProgram]:
    """Use larger weights and a smaller shift, which are the same numbers."""
    name = shifts_of(case.subject)[case.finding.where]
    weights = name.replace("weight_shift", "weights")
    factor = 2 ** (getattr(case.subject, name) - _limit(case))
    if (smaller := edits.smaller_shift(case.subject, name, _limit(case))) is not None:
        yield f"{weights} times {factor} with {name} {_limit(case)} are the same numbers", smaller


def dash_of_one(case: XyloCase) -> Edits[XyloProgram]:
    """Use the shortest decay of a current that has an effect; a membrane may have no memory."""
    if case.finding.severity is Severity.INFO:
        return
    layer = _layer(case)
    suffix = "_out" if layer.role == "output" else ""
    changes: dict[str, Any] = {}
    for name in ("dash_syn", *([] if suffix else ["dash_syn_2"])):
        dashes = getattr(case.subject, name + suffix).copy()
        own = dashes[layer.start : layer.stop]
        np.maximum(own, 1, out=own)
        changes[name + suffix] = dashes
    yield (
        "dash 1 is the shortest decay that keeps a part of the state",
        replace(case.subject, **changes),
    )


# ---- aliases ----


def opened_loops(case: XyloCase) -> Edits[XyloProgram]:
    """Remove, from every loop that begins in the layer, the alias that closes it."""
    layer = _layer(case)
    loops = [way for way in loops_of(case.subject) if layer.start <= way[0] < layer.stop]
    closing = {(way[-1], way[0]) for way in loops}
    aliases = tuple(
        tuple(post for post in targets if (pre, post) not in closing)
        for pre, targets in enumerate(case.subject.aliases)
    )
    many = f"{len(loops)} aliases that close loops" if len(loops) > 1 else "alias that closes it"
    yield f"remove the {many}", replace(case.subject, aliases=aliases)


# ---- time ----


def longer_step(case: XyloCase) -> Edits[XyloProgram]:
    """Use a timestep long enough for the work, to three digits."""
    clock = case.chip.clock.main_clock.to("Hz")
    need = cycles_per_step(case.subject, case.chip, input_active=1.0, hidden_active=1.0) / clock
    digit = 10.0 ** (np.floor(np.log10(need)) - 2)
    dt = float(f"{np.ceil(need / digit) * digit:.3g}")
    yield f"dt of {dt:g} s or longer", replace(case.subject, dt=dt)


def step_of_the_sensor(case: XyloCase) -> Edits[XyloProgram]:
    """Use the sensor interface's timestep of real time."""
    step = case.chip.clock.real_time_step
    assert step is not None
    yield f"dt of {step.to('s'):g} s", replace(case.subject, dt=step.to("s"))


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
EDITS: EditsOf[XyloProgram, XyloChip] = {
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

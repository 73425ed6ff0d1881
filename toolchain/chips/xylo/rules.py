"""What a Xylo chip refuses of a program: one small function a limit, each yielding findings.

Each limit is read from the chip's specification. A hint is given only where the rule, run again
with the hint applied, was content. What the network is made of is asked in ``graph_rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.chips.xylo.findings import error
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.diagnostics import Diagnostic, Severity, count
from toolchain.hardware import Quantity, XyloChip, list_chips, load_chip
from toolchain.ir import Array

__all__ = ["RULES", "check"]

Rule = Callable[[XyloProgram, XyloChip], Iterator[Diagnostic]]


def check(program: XyloProgram, chip: XyloChip) -> tuple[Diagnostic, ...]:
    """Every finding about a program, in rule order."""
    return tuple(found for rule in RULES for found in rule(program, chip))


def input_channels(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """The input has no more channels than the chip."""
    yield from _at_most(
        input_channels, program, chip, program.input_name, program.inputs, "input_channels"
    )


def hidden_neurons(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """All hidden layers together fit."""
    names = ", ".join(p.name for p in program.populations if p.role == "hidden")
    yield from _at_most(hidden_neurons, program, chip, names, program.hidden, "hidden_neurons")


def output_neurons(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """The readout layer fits."""
    names = ", ".join(p.name for p in program.populations if p.role == "output")
    yield from _at_most(output_neurons, program, chip, names, program.outputs, "output_neurons")


def synapses(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """Hidden neurons have no more synaptic states than the chip."""
    yield from _at_most(synapses, program, chip, "network", program.synapses, "hidden_synapses")


def input_expansion(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """The input reaches only the first hidden neurons."""
    if _everywhere(chip, chip.limits.input_expansion):
        return
    reached = np.flatnonzero(program.weights_in.any(axis=(0, 2)))
    need = int(reached[-1]) + 1 if len(reached) else 0
    where = _owner(program, need - 1) if need else program.input_name
    yield from _at_most(input_expansion, program, chip, where, need, "input_expansion")


def output_expansion(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """The outputs are reached only from the last hidden neurons."""
    if _everywhere(chip, chip.limits.output_expansion):
        return
    reading = np.flatnonzero(program.weights_out.any(axis=1))
    need = program.hidden - int(reading[0]) if len(reading) else 0
    where = _owner(program, int(reading[0])) if need else "network"
    yield from _at_most(output_expansion, program, chip, where, need, "output_expansion")


def fan_out(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """A hidden neuron reaches no more hidden neurons than its entries allow."""
    targets = program.fan_out()
    for population in program.populations:
        if population.role == "hidden":
            need = int(targets[population.start : population.stop].max())
            yield from _at_most(fan_out, program, chip, population.name, need, "fan_out")


def fan_out_memory(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """All connections between hidden neurons fit into the memory."""
    need = int(program.fan_out().sum())
    yield from _at_most(fan_out_memory, program, chip, "network", need, "fan_out_memory")


def alias_targets(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """A neuron has no more aliases than the chip stores."""
    for population in program.populations:
        if population.role == "hidden":
            own = program.aliases[population.start : population.stop]
            need = max(len(targets) for targets in own)
            yield from _at_most(
                alias_targets, program, chip, population.name, need, "alias_targets"
            )


def thresholds(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """A threshold is at least 1; at 0 a neuron fires as often as it may, every step."""
    for population, values in _by_population(program, "threshold"):
        if values.min() < 1:
            yield error(
                "thresholds",
                population.name,
                f"threshold {values.min()} fires every step, {chip.name} needs at least 1",
                float(values.min()),
                chip.limits.threshold_width,
                chip,
                limit=1,
            )


def biases(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """A bias fits its field."""
    width = chip.limits.bias_width
    for population, values in _by_population(program, "bias"):
        if width is None and values.any():
            yield error("biases", population.name, f"has a bias, {chip.name} has none")
        elif width is not None and (need := _signed_bits(values)) > width.value:
            yield error(
                "biases",
                population.name,
                f"biases need {need} bit, {chip.name} has {width.value}",
                need,
                width,
                chip,
            )


def weight_shifts(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """A weight shift fits its field."""
    width = chip.limits.weight_shift_width
    top = 2 ** int(width.value) - 1
    for name in ("weight_shift_in", "weight_shift_rec", "weight_shift_out"):
        need = getattr(program, name)
        if need > top:
            yield error(
                "weight_shifts",
                "network",
                f"{name} is {need}, {chip.name} has 0 to {top}",
                need,
                width,
                chip,
                limit=top,
            )


def real_time(program: XyloProgram, chip: XyloChip) -> Iterator[Diagnostic]:
    """One timestep's work ends before the next begins, even if everything spikes at once."""
    if program.dt is None:
        return
    clock = chip.clock.main_clock
    need = cycles_per_step(program, chip, input_active=1.0, hidden_active=1.0)
    limit = clock.to("Hz") * program.dt
    if need > limit:
        yield Diagnostic(
            rule="real_time",
            severity=Severity.WARNING,
            where="network",
            message=f"needs {count(round(need))} cycles a step if every neuron spikes, "
            f"{clock.value:g} {clock.unit} and dt {program.dt:g} s give {count(round(limit))}; "
            "see estimate() for the load of your data",
            need=need,
            limit=limit,
            source=chip.cite(clock),
        )


RULES: tuple[Rule, ...] = (
    input_channels,
    hidden_neurons,
    output_neurons,
    synapses,
    input_expansion,
    output_expansion,
    fan_out,
    fan_out_memory,
    alias_targets,
    thresholds,
    biases,
    weight_shifts,
    real_time,
)

# ---- what the rules share ----

NEEDS = {
    "input_channels": "input channels",
    "hidden_neurons": "hidden neurons",
    "output_neurons": "output neurons",
    "hidden_synapses": "synaptic currents a neuron",
    "input_expansion": "hidden neurons within reach of the input",
    "output_expansion": "hidden neurons within reach of the outputs",
    "fan_out": "recurrent targets a neuron",
    "fan_out_memory": "recurrent connections",
    "alias_targets": "aliases a neuron",
}


def _at_most(
    rule: Rule, program: XyloProgram, chip: XyloChip, where: str, need: int, limit: str
) -> Iterator[Diagnostic]:
    """One finding if ``need`` exceeds the limit of that name, with chips that have more."""
    quantity: Quantity = getattr(chip.limits, limit)
    if need <= quantity.value:
        return
    others = [name for name in _siblings(chip) if not _exceeds(name, limit, need)]
    yield Diagnostic(
        rule=rule.__name__,
        severity=Severity.ERROR,
        where=where,
        message=f"needs {count(need)} {NEEDS[limit]}, {chip.name} has {count(quantity.value)}",
        need=need,
        limit=quantity.value,
        source=chip.cite(quantity),
        hint=f"{' or '.join(others)} has enough of these" if others else "",
    )


def _everywhere(chip: XyloChip, reach: Quantity) -> bool:
    """Whether every hidden neuron is within reach; then the rule on hidden neurons says it all."""
    return reach.value >= chip.limits.hidden_neurons.value


def _siblings(chip: XyloChip) -> list[str]:
    """The other chips of the family."""
    return [n for n in list_chips() if n != chip.name and load_chip(n).family == chip.family]


def _exceeds(name: str, limit: str, need: int) -> bool:
    return need > int(getattr(load_chip(name).limits, limit).value)


def _owner(program: XyloProgram, hidden_id: int) -> str:
    """The user's name of the layer that hidden neuron belongs to."""
    return next(
        p.name for p in program.populations if p.role == "hidden" and p.start <= hidden_id < p.stop
    )


def _by_population(program: XyloProgram, field: str) -> Iterator[tuple[Population, Array]]:
    for population in program.populations:
        values = getattr(program, field + ("_out" if population.role == "output" else ""))
        yield population, values[population.start : population.stop]


def _signed_bits(values: Array) -> int:
    """Width of the smallest signed word that holds every value: 8 for -128 and for 127."""
    low, high = int(values.min()), int(values.max())
    return 1 + max((v if v >= 0 else -1 - v).bit_length() for v in (low, high))

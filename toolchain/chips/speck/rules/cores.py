"""Rules about the memory of cores, and about the core that a layer is placed on."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace
from functools import partial

from toolchain.chips.rules.each import each
from toolchain.chips.rules.findings import Findings, Rule, error, info, warning
from toolchain.chips.speck.lower.place import (
    cores_that_fit,
    memories,
    placement_errors,
    text_of_ids,
    wrong_core,
)
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.rules.at import AtCore, cores, weights
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Advice, Remedy
from toolchain.report import count

__all__ = [
    "ASSIGNED",
    "MEMORIES",
    "core_count",
    "event_order",
    "kernel_memory",
    "neuron_memory",
    "placement",
]


@each(weights)
def kernel_memory(at: AtCore) -> Findings:
    """Check that a core is large enough for the weights."""
    yield from _memory(at, 0)


@each(cores)
def neuron_memory(at: AtCore) -> Findings:
    """Check that a core is large enough for the membranes."""
    yield from _memory(at, 1)


@each(weights)
def bias_memory(at: AtCore) -> Findings:
    """Check that a core is large enough for the biases."""
    yield from _memory(at, 2)


def _memory(at: AtCore, index: int) -> Findings:
    memory = [[*memories(at.item, spec)][index] for spec in at.chip.cores]
    _, need, limit = max(memory, key=lambda each: each[2].value)
    if need > limit.value:
        largest = f"the largest core of {at.chip.name} has {count(limit.value)}"
        yield at.finding(f"needs {count(need)} words, {largest}", need, limit)


def core_count(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Check that there are as many cores as layers."""
    need, limit = len(program.cores), len(chip.cores)
    if need > limit:
        message = f"{need} layers with weights, {chip.name} has {limit} cores"
        memory = chip.cores[0].kernel_memory
        yield error("core_count", "network", message, need, memory, chip, limit=limit)


def placement(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Check that every layer can have a core, whatever the current ones; used by ``place``."""
    yield from placement_errors(program, chip)


@each(cores)
def assigned_core(at: AtCore) -> Findings:
    """Check that the core of a layer exists and is large enough."""
    core, taken = at.item, {core.core for core in at.subject.cores}
    if core.core is None:
        return
    free = [number for number in cores_that_fit(core, at.chip) if number not in taken]
    hint = Advice([Remedy(f"core {text_of_ids(free, 'or')} fits")] if free else ())
    for finding in wrong_core(core, core.core, at.chip):
        yield replace(finding, rule=at.rule, advice=hint)


def event_order(program: SpeckProgram, chip: SpeckChip) -> Findings:
    """Report layers on cores that may process events out of order.

    The vendor intends these cores for layers that read the input; for others it is a warning.
    """
    entries = {target.layer for target in program.inputs}
    unordered = {spec.id: spec for spec in chip.cores if not spec.deterministic}
    for core in sorted((c for c in program.cores if c.core in unordered), key=_id):
        spec = unordered[_id(core)]
        report = info if core.name in entries else warning
        message = (
            f"core {spec.id} of {chip.name} processes events in no fixed order: two runs may differ"
        )
        others = Advice(partial(_in_order, program, chip, core, unordered))
        yield report(
            "event_order", core.name, message, None, spec.kernel_memory, chip, advice=others
        )


def _in_order(
    program: SpeckProgram, chip: SpeckChip, core: SpeckCore, unordered: Container[int]
) -> Iterator[Remedy]:
    """Yield the cores that keep the order and are free for this layer if others move."""
    others = [
        number
        for number in cores_that_fit(core, chip)
        if number not in unordered and not [*placement_errors(program, chip, {core.name: number})]
    ]
    if others:
        yield Remedy(f"core {text_of_ids(others, 'or')} keeps the order")


def _id(core: SpeckCore) -> int:
    assert core.core is not None
    return core.core


MEMORIES: tuple[Rule[SpeckProgram, SpeckChip], ...] = (kernel_memory, neuron_memory, bias_memory)
ASSIGNED: tuple[Rule[SpeckProgram, SpeckChip], ...] = (assigned_core, event_order)

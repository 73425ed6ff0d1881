"""Rules about what a core has room for, and which core a layer is on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from toolchain.chips.speck.finding import find
from toolchain.chips.speck.place import cores_that_fit, memories, text_of_ids
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.diagnostics import Diagnostic, Severity, count
from toolchain.hardware import SpeckChip

__all__ = [
    "assigned_core",
    "bias_memory",
    "core_count",
    "event_order",
    "kernel_memory",
    "neuron_memory",
]


def kernel_memory(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """No core is large enough for the weights."""
    yield from _memory("kernel_memory", 0, program, chip)


def neuron_memory(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """No core is large enough for the membranes."""
    yield from _memory("neuron_memory", 1, program, chip)


def bias_memory(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """No core is large enough for the biases."""
    yield from _memory("bias_memory", 2, program, chip)


def core_count(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """More layers than cores."""
    need, limit = len(program.cores), len(chip.cores)
    if need > limit:
        message = f"{need} layers with weights, {chip.name} has {limit} cores"
        yield Diagnostic(
            rule="core_count", severity=Severity.ERROR, where="network", message=message,
            need=need, limit=limit, source=chip.cite(chip.cores[0].kernel_memory),
        )  # fmt: skip


def assigned_core(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A layer was put on a core that is not there, or that it does not fit."""
    specs = {spec.id: spec for spec in chip.cores}
    for core in program.cores:
        if core.core is None:
            continue
        if core.core not in specs:
            message = f"placed on core {core.core}, {chip.name} has {text_of_ids([*specs])}"
            yield find(chip, "assigned_core", core.name, message, core.core,
                        chip.cores[0].kernel_memory, bound=len(specs) - 1)  # fmt: skip
            continue
        others = cores_that_fit(core, chip)
        for memory, need, limit in memories(core, specs[core.core]):
            if need > limit.value:
                message = (
                    f"placed on core {core.core}, needs {count(need)} {memory} words, "
                    f"that core has {count(limit.value)}"
                )
                hint = f"core {text_of_ids(others, 'or')} fits" if others else ""
                yield find(chip, "assigned_core", core.name, message, need, limit, hint=hint)


def event_order(program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    """The layer is on a core that may take events out of order."""
    orderly = [spec.id for spec in chip.cores if spec.deterministic]
    for spec in chip.cores:
        for core in program.cores:
            if core.core == spec.id and not spec.deterministic:
                others = sorted(set(orderly) & set(cores_that_fit(core, chip)))
                message = (
                    f"core {spec.id} of {chip.name} takes events in no fixed order: two runs may "
                    f"differ"
                )
                hint = f"core {text_of_ids(others, 'or')} keeps the order" if others else ""
                yield find(chip, "event_order", core.name, message, None, spec.kernel_memory,
                            severity=Severity.INFO, hint=hint)  # fmt: skip


def _memory(rule: str, index: int, program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
    for core in program.cores:
        rooms = [[*memories(core, spec)][index] for spec in chip.cores]
        _, need, limit = max(rooms, key=lambda room: room[2].value)
        if need > limit.value:
            where = core.name if rule == "neuron_memory" else core.weight_name
            message = (
                f"needs {count(need)} words, the largest core of {chip.name} has "
                f"{count(limit.value)}"
            )
            yield find(chip, rule, where, message, need, limit, hint=_fewer(program, chip, core))


def _fewer(program: SpeckProgram, chip: SpeckChip, core: SpeckCore) -> str:
    """Half the output channels, and half again, until a core has room for everything.

    The number of outputs of a network is what it is for: there is no hint for those.
    """
    outputs = core.weight.shape[0]
    smaller = core
    while core.name not in program.outputs and smaller.weight.shape[0] > 1:
        smaller = _with_outputs(smaller, smaller.weight.shape[0] // 2)
        if fits := cores_that_fit(smaller, chip):
            ids = text_of_ids(fits, "or")
            return f"{outputs} -> {smaller.weight.shape[0]} output channels fits core {ids}"
    return ""


def _with_outputs(core: SpeckCore, outputs: int) -> SpeckCore:
    return replace(
        core,
        weight=core.weight[:outputs],
        bias=None if core.bias is None else core.bias[:outputs],
        initial=None if core.initial is None else core.initial[:outputs],
    )

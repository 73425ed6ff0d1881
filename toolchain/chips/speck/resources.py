"""Placement of layers on a Speck chip, and the memory that they use."""

from __future__ import annotations

from dataclasses import asdict, replace

from toolchain.chips.contract import Options, Resource
from toolchain.chips.speck.lower import place as placing
from toolchain.chips.speck.options import SpeckOptions, speck_options
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules.cores import event_order
from toolchain.chips.speck.rules.pins import advised_pins
from toolchain.chips.speck.rules.program import with_hints
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic

__all__ = ["options", "place", "placement", "resources", "unplaced"]


def place(
    program: SpeckProgram, chip: SpeckChip, options: Options
) -> tuple[SpeckProgram, tuple[Diagnostic, ...]]:
    """Find a core for each layer; findings of the rules are not repeated.

    Layers in ``options.placement`` have fixed cores; the others are placed on the remaining ones.
    """
    by_hand = speck_options(options).cores([core.name for core in program.cores])
    placement = placing.place(program, chip, cores=by_hand)
    if placement.cores is not None:
        placed = program.placed(placement.cores)
        return placed, tuple(event_order(placed, chip))
    if by_hand:
        return program, advised_pins(placement.findings, program, chip, by_hand)
    large = {core.name for core in program.cores if placing.fits_no_memory(core, chip)}
    too_many = len(program.cores) if len(program.cores) > len(chip.cores) else None
    findings = tuple(f for f in placement.findings if f.where not in large and f.need != too_many)
    return program, with_hints(findings, program, chip)


def options(program: SpeckProgram) -> SpeckOptions:
    """Return options that give this placement and this readout."""
    cores = {core.name: core.core for core in program.cores if core.core is not None}
    return SpeckOptions(
        placement=cores, readout=None if program.readout is None else asdict(program.readout)
    )


def unplaced(program: SpeckProgram) -> SpeckProgram:
    """Return the program without its chip's name and without cores, which no simulation reads."""
    cores = tuple(replace(core, core=None) for core in program.cores)
    return replace(program, chip="", cores=cores)


def placement(program: SpeckProgram) -> dict[str, str]:
    """Return ``core 3`` by layer."""
    return {core.name: f"core {core.core}" for core in program.cores}


def resources(program: SpeckProgram, chip: SpeckChip) -> tuple[Resource, ...]:
    """Return the three memories of each layer with those of its core."""
    rows = []
    for core in program.cores:
        spec = next(s for s in chip.cores if s.id == core.core)
        for what, used, limit in (
            ("kernel memory", core.kernel_words, spec.kernel_memory),
            ("neuron memory", core.neuron_words, spec.neuron_memory),
            ("bias memory", core.bias_words, spec.bias_memory),
        ):
            rows.append(
                Resource(
                    layer=core.name,
                    place=f"core {core.core}",
                    resource=what,
                    used=used,
                    limit=int(limit.value),
                    unit="word",
                )
            )
    return tuple(rows)

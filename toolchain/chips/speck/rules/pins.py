"""Hints for a placement given by the user: the cores that a layer can be placed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from toolchain.chips.speck.lower.place import cores_that_fit, place, text_of_ids
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Advice, Diagnostic, Remedy

__all__ = ["advised_pins"]


def advised_pins(
    findings: tuple[Diagnostic, ...],
    program: SpeckProgram,
    chip: SpeckChip,
    cores: Mapping[str, int],
) -> tuple[Diagnostic, ...]:
    """Return the findings about a user's placement with hints on the cores that are possible.

    Args:
        findings: the findings of ``place``.
        program, chip: its arguments.
        cores: hardware id by name of the layer, as given by the user.
    """
    layers = {core.name: core for core in program.cores}

    def free(name: str) -> Iterator[Remedy]:
        if name not in cores or name not in layers:
            return
        taken = {number for other, number in cores.items() if other != name}
        ids = [
            number
            for number in cores_that_fit(layers[name], chip)
            if number not in taken and _can_be_on(number, name)
        ]
        if ids:
            yield Remedy(f"core {text_of_ids(ids, 'or')} is free and large enough")

    def _can_be_on(number: int, name: str) -> bool:
        found = place(program, chip, cores={**cores, name: number}).findings
        return all(finding.where != name for finding in found)

    return tuple(replace(f, advice=Advice(partial(free, f.where))) for f in findings)

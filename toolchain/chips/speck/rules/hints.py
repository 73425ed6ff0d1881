"""What would help against a finding: remedies that were tried, and only those that worked.

All rules and the placement are run on the program as a remedy leaves it. Its words become a hint
if the finding is gone and no new error has come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from toolchain.chips.load import list_chips, load_chip
from toolchain.chips.speck.lower.place import cores_that_fit, place, text_of_ids
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.rules import edits
from toolchain.chips.speck.rules.finding import Rule
from toolchain.chips.speck.rules.remedies import REMEDIES
from toolchain.chips.speck.rules.trial import Case, errors
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic

__all__ = ["advised", "advised_pins"]

ON_ANOTHER_CHIP = (
    "kernel_memory",
    "neuron_memory",
    "bias_memory",
    "placement",
    "core_count",
    "weight_range",
    "bias_range",
    "state_range",
)
"""Rules whose findings may be gone on another chip."""


def advised(
    findings: tuple[Diagnostic, ...],
    program: SpeckProgram,
    chip: SpeckChip,
    rules: tuple[Rule, ...],
) -> tuple[Diagnostic, ...]:
    """``findings`` with a hint for everything that was tried and helped.

    Args:
        findings: what ``rules`` or the placement found; hints that they have are kept.
        program, chip: what they are about.
        rules: all rules of the family.
    """
    if not any(finding.rule in (*REMEDIES, *ON_ANOTHER_CHIP) for finding in findings):
        return findings
    before = errors(program, chip, rules)
    cases = (
        Case(finding=finding, program=program, chip=chip, rules=rules, errors=before)
        for finding in findings
    )
    return tuple(
        replace(case.finding, hint="; or ".join(_told(case)) or case.finding.hint) for case in cases
    )


def advised_pins(
    findings: tuple[Diagnostic, ...],
    program: SpeckProgram,
    chip: SpeckChip,
    cores: Mapping[str, int],
) -> tuple[Diagnostic, ...]:
    """``findings`` about a placement made by hand, each with the cores that the layer can be on.

    Args:
        findings: what ``place`` found.
        program, chip: what was placed.
        cores: hardware id by name of the layer, as it was given.
    """
    layers = {core.name: core for core in program.cores}

    def free(finding: Diagnostic) -> str:
        if finding.where not in cores or finding.where not in layers:
            return ""
        ids = [
            number
            for number in cores_that_fit(layers[finding.where], chip)
            if finding.where
            not in {
                f.where
                for f in place(program, chip, cores={**cores, finding.where: number}).findings
            }
            and number not in {n for name, n in cores.items() if name != finding.where}
        ]
        return f"core {text_of_ids(ids, 'or')} is free and large enough" if ids else ""

    return tuple(replace(finding, hint=free(finding)) for finding in findings)


def _told(case: Case) -> Iterator[str]:
    for remedy in REMEDIES.get(case.finding.rule, ()):
        yield from (text for text, changed in remedy(case) if case.helps(changed))
    if case.finding.rule in ON_ANOTHER_CHIP:
        yield from other_chips(case)


def other_chips(case: Case) -> Iterator[str]:
    """The chips that take the whole program; those that no tool knows any more are left out."""
    others = [load_chip(name) for name in list_chips() if name != case.chip.name]
    fitting = [
        chip.name
        for chip in others
        if isinstance(chip, SpeckChip)
        and not chip.vendor_note
        and not errors(edits.moved(case.program, chip), chip, case.rules)
    ]
    if fitting:
        yield f"the program fits {' or '.join(fitting)}"

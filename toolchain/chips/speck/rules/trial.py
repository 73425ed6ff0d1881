"""A finding, and whether a changed program is without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from toolchain.chips.speck.lower.place import obstacles
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.rules.finding import Rule
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic, Severity

__all__ = ["Case", "Key", "Remedy", "errors"]

Key: TypeAlias = tuple[str, str]
"""Rule and place of a finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A finding, what it was found in, all rules, and the errors that were there before."""

    finding: Diagnostic
    program: SpeckProgram
    chip: SpeckChip
    rules: tuple[Rule, ...]
    errors: frozenset[Key]

    @property
    def core(self) -> SpeckCore:
        """The layer that the finding is about."""
        return next(c for c in self.program.cores if self.finding.where in (c.name, c.weight_name))

    def gone(self, program: SpeckProgram) -> bool:
        """Whether the finding's own rule says no more of this layer in ``program``."""
        rule = next((r for r in self.rules if r.__name__ == self.finding.rule), obstacles)
        return all(f.where != self.finding.where for f in rule(program, self.chip))

    def helps(self, program: SpeckProgram | None) -> bool:
        """Whether the finding is gone, and no error is there that was not there before."""
        return (
            program is not None
            and self.gone(program)
            and errors(program, self.chip, self.rules) <= self.errors
        )


Remedy: TypeAlias = Callable[[Case], Iterator[tuple[str, SpeckProgram | None]]]
"""Actions in words, each with the program after it, or None where it cannot be done."""


def errors(program: SpeckProgram, chip: SpeckChip, rules: tuple[Rule, ...]) -> frozenset[Key]:
    """What stops ``program`` on ``chip``."""
    found = (finding for rule in (*rules, obstacles) for finding in rule(program, chip))
    return frozenset((f.rule, f.where) for f in found if f.severity is Severity.ERROR)

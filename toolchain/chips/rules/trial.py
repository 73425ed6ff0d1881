"""Rules applied to a subject, and the comparison with a changed subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic

from toolchain.chips.load import chips_of
from toolchain.chips.rules.findings import C, Rule, S, is_error
from toolchain.diagnostics import Diagnostic, Severity

__all__ = ["Case", "Trial", "fits"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial(Generic[S, C]):
    """A subject on a chip with the findings of its rules; each rule runs once, when first needed.

    Attributes:
        subject: float graph or integer program.
        chip: specification of the chip.
        rules: all rules for such subjects; their names are unique.
    """

    subject: S
    chip: C
    rules: tuple[Rule[S, C], ...]
    _found: dict[str, tuple[Diagnostic, ...]] = field(default_factory=dict, init=False)
    _variants: dict[Hashable, Trial[S, C] | None] = field(default_factory=dict, init=False)

    def of(self, rule: str) -> tuple[Diagnostic, ...]:
        """Return the findings of the rule called ``rule``."""
        if rule not in self._found:
            (function,) = (each for each in self.rules if each.__name__ == rule)
            self._found[rule] = tuple(function(self.subject, self.chip))
        return self._found[rule]

    def findings(self, rules: Iterable[Rule[S, C]] | None = None) -> Iterator[Diagnostic]:
        """Yield the findings of ``rules``, by default of all rules, in rule order."""
        for rule in self.rules if rules is None else rules:
            yield from self.of(rule.__name__)

    @property
    def fits(self) -> bool:
        """True if no rule finds an error; stops at the first error."""
        return not any(map(is_error, self.findings()))

    def variant(
        self, key: Hashable, make: Callable[[], S | None], chip: C | None = None
    ) -> Trial[S, C] | None:
        """Return the trial of a changed subject, built once per ``key``.

        Args:
            key: identifies the change.
            make: returns the changed subject, or None if the change is impossible.
            chip: the chip for the changed subject; None for the same chip.

        Returns:
            The trial, or None if ``make`` returned None.
        """
        if key not in self._variants:
            subject, chip = make(), chip or self.chip
            changed = None if subject is None else replace(self, subject=subject, chip=chip)
            self._variants[key] = changed
        return self._variants[key]

    def on_other_chips(
        self, move: Callable[[S, C], S | None], offered: Callable[[C], bool]
    ) -> Iterator[Trial[S, C]]:
        """Yield the trials of the subject on the other chips of the family.

        Args:
            move: returns the subject for another chip, or None if it does not fit its cores.
            offered: returns True for chips that may be suggested.
        """
        for chip in chips_of(self.chip.family):
            if isinstance(chip, type(self.chip)) and chip.name != self.chip.name and offered(chip):
                trial = self.variant(chip.name, partial(move, self.subject, chip), chip)
                if trial is not None:
                    yield trial


def fits(subject: S, chip: C, rules: tuple[Rule[S, C], ...]) -> bool:
    """Return True if none of ``rules`` finds an error; tries no hints."""
    return Trial(subject=subject, chip=chip, rules=rules).fits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case(Generic[S, C]):
    """A finding and the trial that reported it."""

    finding: Diagnostic
    trial: Trial[S, C]

    @property
    def subject(self) -> S:
        """Subject of the finding."""
        return self.trial.subject

    @property
    def chip(self) -> C:
        """Chip of the subject."""
        return self.trial.chip

    def gone(self, after: Trial[S, C] | S | None) -> bool:
        """Return True if ``after`` does not have the finding and its rule reports nothing new.

        At the same layer, only findings of lower severity may be left, or other findings of the
        rule with exactly the same message as before.
        """
        if after is None:
            return False
        now, before = (
            [f for f in trial.of(self.finding.rule) if _as_severe(f, self.finding)]
            for trial in (self._trial(after), self.trial)
        )
        others = Counter(f.message for f in before if f.where == self.finding.where)
        others.subtract([self.finding.message])
        left = Counter(f.message for f in now if f.where == self.finding.where)
        return left <= others and _places(now) <= _places(before)

    def helps(self, after: Trial[S, C] | S | None) -> bool:
        """Return True if ``after`` does not have the finding and has no new error."""
        if after is None or not self.gone(after):
            return False
        now, before = (
            _places(filter(is_error, trial.findings()))
            for trial in (self._trial(after), self.trial)
        )
        return now <= before

    def _trial(self, after: Trial[S, C] | S) -> Trial[S, C]:
        return after if isinstance(after, Trial) else replace(self.trial, subject=after)


def _places(findings: Iterable[Diagnostic]) -> Counter[tuple[str, str]]:
    """Count findings by rule and layer; equal messages count once."""
    return Counter(
        (rule, where) for rule, where, _ in {(f.rule, f.where, f.message) for f in findings}
    )


def _as_severe(other: Diagnostic, finding: Diagnostic) -> bool:
    order = list(Severity)
    return order.index(other.severity) <= order.index(finding.severity)

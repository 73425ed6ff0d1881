"""Rules run on a subject, and whether a changed subject is without a finding."""

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
    """A subject on a chip, with what the rules find of it; each rule runs once, when it is asked.

    Attributes:
        subject: a float graph, or a program.
        chip: where it is to run.
        rules: all rules for such subjects, each of another name.
    """

    subject: S
    chip: C
    rules: tuple[Rule[S, C], ...]
    _found: dict[str, tuple[Diagnostic, ...]] = field(default_factory=dict, init=False)
    _variants: dict[Hashable, Trial[S, C] | None] = field(default_factory=dict, init=False)

    def of(self, rule: str) -> tuple[Diagnostic, ...]:
        """Return the findings of the rule with this name."""
        if rule not in self._found:
            (function,) = (each for each in self.rules if each.__name__ == rule)
            self._found[rule] = tuple(function(self.subject, self.chip))
        return self._found[rule]

    def findings(self, rules: Iterable[Rule[S, C]] | None = None) -> Iterator[Diagnostic]:
        """Yield every finding, or those of ``rules``, in rule order."""
        for rule in self.rules if rules is None else rules:
            yield from self.of(rule.__name__)

    @property
    def fits(self) -> bool:
        """Whether no rule finds an error; rules behind the first error are not run."""
        return not any(map(is_error, self.findings()))

    def variant(
        self, key: Hashable, make: Callable[[], S | None], chip: C | None = None
    ) -> Trial[S, C] | None:
        """Return the trial of a changed subject, made once for each ``key``; None for no subject.

        ``chip``: where the changed subject is to run, unless on the same.
        """
        if key not in self._variants:
            subject, chip = make(), chip or self.chip
            there = None if subject is None else replace(self, subject=subject, chip=chip)
            self._variants[key] = there
        return self._variants[key]

    def on_other_chips(
        self, move: Callable[[S, C], S | None], offered: Callable[[C], bool]
    ) -> Iterator[Trial[S, C]]:
        """Yield the trials on the other chips of the family.

        Args:
            move: the subject for another chip, or None where its cores cannot hold it.
            offered: whether a chip is to be suggested at all.
        """
        for chip in chips_of(self.chip.family):
            if isinstance(chip, type(self.chip)) and chip.name != self.chip.name and offered(chip):
                there = self.variant(chip.name, partial(move, self.subject, chip), chip)
                if there is not None:
                    yield there


def fits(subject: S, chip: C, rules: tuple[Rule[S, C], ...]) -> bool:
    """Return whether none of ``rules`` finds an error; no hint is tried."""
    return Trial(subject=subject, chip=chip, rules=rules).fits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case(Generic[S, C]):
    """A finding, and the trial it was found in."""

    finding: Diagnostic
    trial: Trial[S, C]

    @property
    def subject(self) -> S:
        """What the finding is about."""
        return self.trial.subject

    @property
    def chip(self) -> C:
        """The chip that the subject is for."""
        return self.trial.chip

    def gone(self, after: Trial[S, C] | S | None) -> bool:
        """Return whether the finding is gone in ``after``, and its own rule finds no more anywhere.

        At its place nothing is left as severe as it is, but for other findings that were there
        before, word for word.
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
        """Return whether the finding is gone, and no error is there that was not there before."""
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
    """Count findings by rule and layer, alike ones once; their words may change."""
    return Counter(
        (rule, where) for rule, where, _ in {(f.rule, f.where, f.message) for f in findings}
    )


def _as_severe(other: Diagnostic, finding: Diagnostic) -> bool:
    order = list(Severity)
    return order.index(other.severity) <= order.index(finding.severity)

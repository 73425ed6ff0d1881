"""Hints: remedies that are tried when a finding's hint is first read, and kept if they help.

A remedy is an edit (a text, and the subject after the change) or a set of approximations to accept.
Reporting a finding does not try any remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TypeAlias

from toolchain.chips.allow import RewriteResult, as_argument
from toolchain.chips.rules.findings import C, Rule, S
from toolchain.chips.rules.trial import Case, Trial
from toolchain.diagnostics import Advice, Diagnostic, Remedy
from toolchain.ir import Graph

__all__ = [
    "Advise",
    "Approximate",
    "Edits",
    "EditsOf",
    "check_rules",
    "fitting_chips",
    "helpful_approximations",
    "helpful_edits",
    "largest",
    "with_advice",
]

Edits: TypeAlias = Iterator[tuple[str, S | None]]
"""Descriptions of edits, each with the changed subject, or None if the edit is impossible."""

EditsOf: TypeAlias = Mapping[str, Sequence[Callable[[Case[S, C]], Edits[S]]]]
"""Edits to try against the findings of a rule, by name of the rule."""

Advise: TypeAlias = Callable[[Case[S, C]], Iterator[Remedy]]
"""Tries changes against a finding and yields those that help."""

Approximate: TypeAlias = Callable[[Graph, C, Collection[str]], RewriteResult]
"""Applies approximations to a graph by name; see ``toolchain.chips.allow``."""


def with_advice(
    findings: Iterable[Diagnostic], trial: Trial[S, C], advise: Advise[S, C]
) -> tuple[Diagnostic, ...]:
    """Return ``findings`` with hints that ``advise`` will try, or their own if none helps."""

    def remedies(case: Case[S, C]) -> Iterator[Remedy]:
        found = False
        for remedy in advise(case):
            found = True
            yield remedy
        if not found:
            yield from case.finding.remedies

    cases = (Case(finding=finding, trial=trial) for finding in findings)
    return tuple(replace(case.finding, advice=Advice(partial(remedies, case))) for case in cases)


def check_rules(
    subject: S,
    chip: C,
    *,
    rules: tuple[Rule[S, C], ...],
    advise: Advise[S, C],
    after: tuple[Rule[S, C], ...] = (),
) -> tuple[Diagnostic, ...]:
    """Return every finding of ``rules``, in rule order, with hints that ``advise`` will try.

    Args:
        subject, chip: arguments of the rules.
        rules: rules to report.
        advise: yields the remedies of a finding.
        after: further rules that a changed subject must pass; they are not reported here.
    """
    trial = Trial(subject=subject, chip=chip, rules=(*rules, *after))
    return with_advice(trial.findings(rules), trial, advise)


def helpful_edits(case: Case[S, C], edits: EditsOf[S, C]) -> Iterator[Remedy]:
    """Yield the edits that remove the finding."""
    for edit in edits.get(case.finding.rule, ()):
        for text, after in edit(case):
            if case.helps(after):
                yield Remedy(text)


def helpful_approximations(
    case: Case[Graph, C], by_rule: Mapping[str, Sequence[str]], approximate: Approximate[C]
) -> Iterator[Remedy]:
    """Yield the smallest set of approximations that removes the finding, if there is one.

    Args:
        case: an error in a graph.
        by_rule: names to try, by rule of the finding.
        approximate: applies the family's approximations.
    """
    names = by_rule.get(case.finding.rule, ())
    for number in range(1, len(names) + 1):
        for chosen in combinations(names, number):
            make = partial(_approximated, case, chosen, approximate)
            if case.helps(case.trial.variant(chosen, make)):
                yield Remedy(f"accept an approximation: {as_argument(chosen)}", chosen)
                return


def _approximated(
    case: Case[Graph, C], names: tuple[str, ...], approximate: Approximate[C]
) -> Graph:
    return approximate(case.subject, case.chip, names)[0]


def fitting_chips(others: Iterable[Trial[S, C]]) -> Iterator[Remedy]:
    """Yield one remedy with all chips of ``others`` on which the whole subject fits."""
    names = [trial.chip.name for trial in others if trial.fits]
    if names:
        yield Remedy(f"the program fits {' or '.join(names)}")


def largest(below: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number in 1..``below`` - 1 that fits, by bisection; 0 if none does.

    >>> largest(100, lambda n: n * n <= 50)
    7
    """
    low, high = 0, below
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low

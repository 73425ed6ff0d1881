"""Hints: remedies that are tried when a finding's hint is first read, and kept if they help.

A remedy is an edit, words with the subject after it, or names of approximations to accept. The
findings of errors and warnings are made without trying any.
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
"""Actions in words, each with the subject after it, or None where it cannot be done."""

EditsOf: TypeAlias = Mapping[str, Sequence[Callable[[Case[S, C]], Edits[S]]]]
"""What to try against the findings of a rule, by its name."""

Advise: TypeAlias = Callable[[Case[S, C]], Iterator[Remedy]]
"""Tries what may help against a finding; yields what does."""

Approximate: TypeAlias = Callable[[Graph, C, Collection[str]], RewriteResult]
"""Rewrites a graph by the names of approximations; see ``chips.allow``."""


def with_advice(
    findings: Iterable[Diagnostic], trial: Trial[S, C], advise: Advise[S, C]
) -> tuple[Diagnostic, ...]:
    """Return ``findings`` with hints that ``advise`` will try; where none helps, with their own."""

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

    ``after``: rules that a changed subject has to pass too, and that are reported elsewhere.
    """
    trial = Trial(subject=subject, chip=chip, rules=(*rules, *after))
    return with_advice(trial.findings(rules), trial, advise)


def helpful_edits(case: Case[S, C], edits: EditsOf[S, C]) -> Iterator[Remedy]:
    """Yield the actions of ``edits`` that help."""
    for edit in edits.get(case.finding.rule, ()):
        for words, after in edit(case):
            if case.helps(after):
                yield Remedy(words)


def helpful_approximations(
    case: Case[Graph, C], by_rule: Mapping[str, Sequence[str]], approximate: Approximate[C]
) -> Iterator[Remedy]:
    """Yield the fewest approximations with which the finding is gone, if any are.

    Args:
        case: an error in a graph.
        by_rule: the names that may help against the findings of a rule.
        approximate: the family's rewrites.
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
    """Yield the chips, among the trials on others, that take the whole subject."""
    names = [there.chip.name for there in others if there.fits]
    if names:
        yield Remedy(f"the program fits {' or '.join(names)}")


def largest(below: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number from 1 to below ``below`` that fits, by halving; 0 if none does."""
    kept, over = 0, below
    while over - kept > 1:
        middle = (kept + over) // 2
        kept, over = (middle, over) if fits(middle) else (kept, middle)
    return kept

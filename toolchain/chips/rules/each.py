"""Rules that check one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Generic, TypeVar

from toolchain.chips.rules.findings import C, Findings, Rule, S, finding
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.hardware import AllowedValues, Quantity

__all__ = ["At", "each"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class At(Generic[S, C, T]):
    """One layer that a rule checks.

    Attributes:
        rule: name of the rule.
        subject, chip: arguments of the rule.
        name: the user's name of the layer.
        item: node of the graph, or part of the program.
    """

    rule: str
    subject: S
    chip: C
    name: str
    item: T

    def finding(
        self,
        message: str,
        need: float | None = None,
        quantity: Quantity | AllowedValues | None = None,
        *,
        where: str | None = None,
        limit: float | None = None,
        severity: Severity = Severity.ERROR,
    ) -> Diagnostic:
        """Return a finding about this layer, or about ``where``.

        Arguments: see ``toolchain.chips.rules.findings.finding``.
        """
        where = self.name if where is None else where
        return finding(severity, self.rule, where, message, need, quantity, self.chip, limit=limit)


def each(
    items: Callable[[S], Iterable[tuple[str, T]]],
) -> Callable[[Callable[[At[S, C, T]], Findings]], Rule[S, C]]:
    """Return a decorator that turns a check of one layer into a rule.

    Args:
        items: yields name and layer of every layer of a subject that is checked.
    """

    def decorate(check: Callable[[At[S, C, T]], Findings]) -> Rule[S, C]:
        @wraps(check)
        def rule(subject: S, chip: C) -> Findings:
            name = check.__name__
            for where, item in items(subject):
                yield from check(At(rule=name, subject=subject, chip=chip, name=where, item=item))

        return rule

    return decorate

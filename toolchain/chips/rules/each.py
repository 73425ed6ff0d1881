"""Rules that ask the same question of every layer: the layer, and how to report on it."""

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
    """One layer that a rule is asked about.

    Attributes:
        rule: the rule's name.
        subject, chip: what the rule is asked about.
        name: the user's name of the layer.
        item: the node of a graph, or the part of a program.
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
        """Return a finding about this layer, or about ``where``; see ``findings.finding``."""
        where = self.name if where is None else where
        return finding(severity, self.rule, where, message, need, quantity, self.chip, limit=limit)


def each(
    items: Callable[[S], Iterable[tuple[str, T]]],
) -> Callable[[Callable[[At[S, C, T]], Findings]], Rule[S, C]]:
    """Make a rule of a question to each of ``items``, names with layers, of a subject."""

    def decorate(question: Callable[[At[S, C, T]], Findings]) -> Rule[S, C]:
        @wraps(question)
        def rule(subject: S, chip: C) -> Findings:
            name = question.__name__
            for where, item in items(subject):
                yield from question(
                    At(rule=name, subject=subject, chip=chip, name=where, item=item)
                )

        return rule

    return decorate

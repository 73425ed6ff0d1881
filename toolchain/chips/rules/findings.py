"""Type of a rule, and the functions with which rules report findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias, TypeVar

from toolchain.diagnostics import Advice, Diagnostic, Severity
from toolchain.hardware import AllowedValues, Quantity
from toolchain.hardware.chip import SpecBase
from toolchain.report import count

__all__ = [
    "C",
    "Findings",
    "Rule",
    "S",
    "at_most",
    "error",
    "info",
    "is_error",
    "parts",
    "some",
    "warning",
]

S = TypeVar("S")
"""Subject of a rule: a float graph or an integer program of a family."""

C = TypeVar("C", bound=SpecBase)
"""A family's chip specification."""

Findings: TypeAlias = Iterator[Diagnostic]

Rule: TypeAlias = Callable[[S, C], Findings]
"""Yields findings about a subject on a chip; the function's name is the rule of its findings."""


def finding(
    severity: Severity,
    rule: str,
    where: str,
    message: str,
    need: float | None = None,
    quantity: Quantity | AllowedValues | None = None,
    chip: SpecBase | None = None,
    *,
    limit: float | None = None,
    source: str = "",
    hint: str | None = None,
    advice: Advice | None = None,
) -> Diagnostic:
    """Return a finding; limit and source are those of ``quantity`` unless given.

    Args:
        severity, rule, where, message, need: see ``Diagnostic``.
        quantity: entry of the chip file that sets the limit.
        chip: specification that cites the source of ``quantity``.
        limit: the limit, if it differs from the value of ``quantity``.
        source: the source, if it is not a chip file.
        hint, advice: see ``Diagnostic``.
    """
    if limit is None and need is not None and quantity is not None:
        limit = quantity.value if isinstance(quantity, Quantity) else max(quantity.values)
    if chip is not None and quantity is not None:
        source = chip.cite(quantity)
    return Diagnostic(
        rule=rule,
        severity=severity,
        where=where,
        message=message,
        need=need,
        limit=limit,
        source=source,
        hint=hint,
        advice=advice,
    )


error = partial(finding, Severity.ERROR)
warning = partial(finding, Severity.WARNING)
info = partial(finding, Severity.INFO)


def at_most(
    rule: str, chip: SpecBase, where: str, need: int, what: str, limit: Quantity, note: str = ""
) -> Findings:
    """Yield one error if ``need`` exceeds ``limit``; ``note`` is appended to its message."""
    if need > limit.value:
        message = f"needs {count(need)} {what}, {chip.name} has {count(limit.value)}{note}"
        yield error(rule, where, message, need, limit, chip)


def is_error(finding: Diagnostic) -> bool:
    """Return True if the finding stops a deployment."""
    return finding.severity is Severity.ERROR


def some(number: int, of: int, what: str) -> str:
    """Return a part of a total as text: ``17 of 60 neurons``, ``all 60 neurons``.

    Args:
        number: size of the part.
        of: the total.
        what: noun in the singular.

    >>> some(17, 60, "neuron"), some(60, 60, "neuron"), some(1, 1, "neuron")
    ('17 of 60 neurons', 'all 60 neurons', 'the only neuron')
    """
    if of == 1:
        return f"the only {what}"
    return f"{f'all {count(of)}' if number == of else f'{count(number)} of {count(of)}'} {what}s"


def parts(sizes: list[tuple[str, int]], most: int = 4) -> str:
    """Return the first ``most`` parts as text; empty for a single part.

    >>> parts([("fc1", 700), ("fc2", 301)])
    ' (fc1 700, fc2 301)'
    """
    if len(sizes) < 2:
        return ""
    named = [f"{name} {count(size)}" for name, size in sizes[:most]]
    if len(sizes) > most:
        named.append(f"{len(sizes) - most} more")
    return f" ({', '.join(named)})"

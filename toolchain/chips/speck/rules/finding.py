"""What a rule of the Speck family is, and how it says what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.hardware import Choice, Quantity

__all__ = ["Rule", "find"]

Rule = Callable[[SpeckProgram, SpeckChip], Iterator[Diagnostic]]
"""A question to a program about a chip; it yields what it finds and changes nothing."""


def find(
    chip: SpeckChip, rule: str, where: str, message: str, need: float | None,
    quantity: Quantity | Choice, *, severity: Severity = Severity.ERROR,
    bound: float | None = None, hint: str = "",
) -> Diagnostic:  # fmt: skip
    """A finding whose limit is ``quantity``, or ``bound`` where that is worked out from it."""
    if bound is None and need is not None:
        bound = quantity.value if isinstance(quantity, Quantity) else max(quantity.values)
    return Diagnostic(
        rule=rule,
        severity=severity,
        where=where,
        message=message,
        need=need,
        limit=bound,
        source=chip.cite(quantity),
        hint=hint,
    )

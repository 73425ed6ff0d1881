"""What a rule of the Xylo family is, and how it says what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.hardware import Quantity
from toolchain.report import count

if TYPE_CHECKING:
    from toolchain.chips.xylo.program import XyloProgram

__all__ = ["Rule", "at_most", "error", "parts", "some", "warning"]

Rule: TypeAlias = Callable[["XyloProgram", XyloChip], Iterator[Diagnostic]]
"""A question to a program about a chip; it yields what it finds and changes nothing."""


def error(
    rule: str,
    where: str,
    message: str,
    need: float | None = None,
    quantity: Quantity | None = None,
    chip: XyloChip | None = None,
    *,
    limit: float | None = None,
) -> Diagnostic:
    """A finding of severity error; ``limit`` where it is not the quantity's own value."""
    return Diagnostic(
        rule=rule,
        severity=Severity.ERROR,
        where=where,
        message=message,
        need=need,
        limit=quantity.value if limit is None and quantity is not None else limit,
        source=chip.cite(quantity) if chip is not None and quantity is not None else "",
    )


def warning(
    rule: str,
    where: str,
    message: str,
    source: str,
    need: float | None = None,
    limit: float | None = None,
) -> Diagnostic:
    """A finding of severity warning: the chip runs it, and does something else than one thinks."""
    return Diagnostic(
        rule=rule,
        severity=Severity.WARNING,
        where=where,
        message=message,
        need=need,
        limit=limit,
        source=source,
    )


def some(number: int, of: int, what: str) -> str:
    """``17 of 60 neurons``, ``all 60 neurons``, ``the only neuron``."""
    if of == 1:
        return f"the only {what}"
    return f"{f'all {count(of)}' if number == of else f'{count(number)} of {count(of)}'} {what}s"


def at_most(
    rule: str, chip: XyloChip, where: str, need: int, what: str, limit: Quantity, note: str = ""
) -> Iterator[Diagnostic]:
    """One finding if ``need`` exceeds the limit; ``note`` says whose need it is."""
    if need > limit.value:
        message = f"needs {count(need)} {what}, {chip.name} has {count(limit.value)}{note}"
        yield error(rule, where, message, need, limit, chip)


def parts(sizes: list[tuple[str, int]], most: int = 4) -> str:
    """`` (fc1 700, fc2 301)``, the first few; nothing where there is one part only."""
    if len(sizes) < 2:
        return ""
    told = [f"{name} {count(size)}" for name, size in sizes[:most]]
    rest = [f"{len(sizes) - most} more"] if len(sizes) > most else []
    return f" ({', '.join(told + rest)})"

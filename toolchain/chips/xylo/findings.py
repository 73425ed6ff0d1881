"""An error found in a network, with the number of the specification that it breaks."""

from __future__ import annotations

from toolchain.diagnostics import Diagnostic, Severity
from toolchain.hardware import Quantity, XyloChip

__all__ = ["error"]


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

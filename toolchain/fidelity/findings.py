"""Findings on the changes of quantization, with their size."""

from __future__ import annotations

import math
from collections.abc import Iterator

from toolchain.diagnostics import Diagnostic, Severity
from toolchain.fidelity.ledger import Change, Changes
from toolchain.report import count, percent, shown

__all__ = ["diagnostics_of"]

TIME_CONSTANTS = ("tau_mem", "tau_syn")
NEGLIGIBLE = 0.01
"""Smallest relative change of a time constant that is a warning."""


def diagnostics_of(changes: Changes) -> tuple[Diagnostic, ...]:
    """Report the changes of quantization, as ``rounding.rounded`` returns them.

    >>> from toolchain.fidelity.ledger import Fidelity
    >>> tau = dict(what="tau_mem", fidelity=Fidelity.APPROXIMATED, unit="ms", error=-0.251)
    >>> change = Change(before=10.0, after=7.49, **tau)
    >>> print(*diagnostics_of({"lif": [change]}))
    warning[time_constants] lif: tau_mem 10 ms becomes 7.49 ms (-25.1 %)
    """
    return (*_time_constants(changes), *_drives(changes), *_weights(changes))


def _time_constants(changes: Changes) -> Iterator[Diagnostic]:
    """Report each time constant that the chip cannot represent, with a warning if it moves far."""
    for layer, change in _of(changes, *TIME_CONSTANTS):
        unit, most = change.unit, " at most" if change.span else ""
        size = "" if change.error is None else f" ({100 * change.error:+.1f} %{most})"
        yield Diagnostic(
            rule="time_constants",
            severity=Severity.INFO if _negligible(change) else Severity.WARNING,
            where=layer,
            message=f"{change.what} {shown(change.before)} {unit} becomes "
            f"{shown(change.after)} {unit}{size}{change.note and f': {change.note}'}",
        )


def _drives(changes: Changes) -> Iterator[Diagnostic]:
    """Warn of weights that were scaled against thresholds to compensate for new decays."""
    taus = _of(changes, *TIME_CONSTANTS)
    decays = {layer for layer, change in taus if not _negligible(change)}
    for layer, change in _of(changes, "v_threshold"):
        if layer not in decays or change.span is None:
            continue
        # a threshold that is off by some factor is driven by the inverse of that factor
        high, low = (1 / (1 + error) if error > -1 else math.inf for error in change.span)
        span = f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
        yield Diagnostic(
            rule="drives",
            severity=Severity.WARNING,
            where=layer,
            message=f"weights become {span} times as large relative to the thresholds, which "
            "compensates for the time constants",
        )


def _negligible(change: Change) -> bool:
    return change.error is not None and abs(change.error) < NEGLIGIBLE


def _weights(changes: Changes) -> Iterator[Diagnostic]:
    """Report the change of each layer's weights by rounding, and the smallest threshold.

    Levels and shifts are reported by the family's quantizer.
    """
    for layer, change in _of(changes, "weights"):
        least = change.threshold
        yield Diagnostic(
            rule="rounding",
            severity=Severity.INFO,
            where=layer,
            message=f"weights change by {percent(change.error or 0.0)} rms"
            + ("" if least is None else f"; smallest threshold {count(least)}"),
        )


def _of(changes: Changes, *aspects: str) -> Iterator[tuple[str, Change]]:
    """Yield the changes of some aspects, with their layers."""
    for layer, of_layer in changes.items():
        yield from ((layer, change) for change in of_layer if change.what in aspects)

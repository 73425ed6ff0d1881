"""The last line of a refusal: the approximations that let the network through, all at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from toolchain.chips.allow import as_argument
from toolchain.diagnostics import DeployError, Diagnostic

__all__ = ["acceptance"]

Attempt: TypeAlias = Callable[[Collection[str]], float | None]
"""Deploys with exactly these names accepted. Returns the agreement of the output counts on the
calibration spikes, 0..1, None without these; raises DeployError."""


def acceptance(
    errors: Iterable[Diagnostic],
    given: Collection[str],
    known: Collection[str],
    attempt: Attempt,
) -> str:
    """Return the line that accepts all of ``errors``, or what is left after all that it accepts.

    Args:
        errors: why the network was refused; their hints are tried.
        given: the names that were accepted when it was.
        known: the family's names, in the order in which they are to be shown.
        attempt: tries names; nothing is shown that was not tried.
    """
    own = names = frozenset(given)
    left, agreement = tuple(errors), None
    try:
        while more := _named(left) - names:
            names |= more
            left, agreement = _outcome(attempt, names)
        for name in () if left else sorted(names - own):
            without = _outcome(attempt, names - {name})
            if not without[0]:
                names, (_, agreement) = names - {name}, without
    except ValueError:  # about something else than the chip, the calibration for instance
        return ""
    if names == own:
        return ""
    allow = as_argument([name for name in known if name in names])
    if left:
        return f"{allow} leaves {_places(left)}"
    return f"accept all of these: {allow}{_agreeing(agreement)}"


def _outcome(
    attempt: Attempt, names: frozenset[str]
) -> tuple[tuple[Diagnostic, ...], float | None]:
    """Return the errors that are left with ``names`` accepted, and the agreement if none is."""
    try:
        return (), attempt(names)
    except DeployError as refused:
        return refused.diagnostics, None


def _named(errors: Iterable[Diagnostic]) -> frozenset[str]:
    """Return the names of all approximations that help against one of ``errors``."""
    return frozenset(name for e in errors for remedy in e.remedies for name in remedy.allow)


def _agreeing(agreement: float | None) -> str:
    if agreement is None:
        return ""
    return f"; output spike counts then agree to {100 * agreement:.1f} % on the calibration spikes"


def _places(errors: Iterable[Diagnostic]) -> str:
    """Return ``kernel_memory at conv3, conv4 and comparison at lif1``."""
    layers: dict[str, dict[str, None]] = {}
    for error in errors:
        layers.setdefault(error.rule, {})[error.where] = None
    *first, last = [f"{rule} at {', '.join(where)}" for rule, where in layers.items()]
    return f"{', '.join(first)} and {last}" if first else last

"""Last line of a refusal: the approximations with which the network deploys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from toolchain.chips.allow import as_argument
from toolchain.diagnostics import DeployError, Diagnostic

__all__ = ["acceptance"]

TryNames: TypeAlias = Callable[[Collection[str]], float | None]
"""Deploys with exactly these names accepted. Returns the agreement of the output spike counts on
the calibration spikes, 0..1, or None without calibration; raises DeployError."""


def acceptance(
    errors: Iterable[Diagnostic],
    given: Collection[str],
    known: Collection[str],
    attempt: TryNames,
) -> str:
    """Return a line with the fewest names that accept all ``errors``.

    If no names accept all errors, the line lists the errors that remain; it is empty if no names
    help at all.

    Args:
        errors: errors of the refused network; their hints are tried.
        given: names that were already accepted.
        known: the family's names, in the order in which they are shown.
        attempt: deploys with the given names; only names that were tried are shown.
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
    except ValueError:  # not about the chip, but about the calibration for instance
        return ""
    if names == own:
        return ""
    allow = as_argument([name for name in known if name in names])
    if left:
        return f"with {allow} these errors remain: {_places(left)}"
    return f"accept all of these: {allow}{_agreeing(agreement)}"


def _outcome(
    attempt: TryNames, names: frozenset[str]
) -> tuple[tuple[Diagnostic, ...], float | None]:
    """Return the errors that remain with ``names`` accepted, and the agreement if none do."""
    try:
        return (), attempt(names)
    except DeployError as refusal:
        return refusal.diagnostics, None


def _named(errors: Iterable[Diagnostic]) -> frozenset[str]:
    """Return the names of all approximations that the remedies of ``errors`` accept."""
    return frozenset(name for e in errors for remedy in e.remedies for name in remedy.allow)


def _agreeing(agreement: float | None) -> str:
    if agreement is None:
        return ""
    return f"; output spike counts then agree to {100 * agreement:.1f} % on the calibration spikes"


def _places(errors: Iterable[Diagnostic]) -> str:
    """Return rules and layers as text: ``kernel_memory at conv3, conv4 and comparison at lif1``."""
    layers: dict[str, dict[str, None]] = {}
    for error in errors:
        layers.setdefault(error.rule, {})[error.where] = None
    *first, last = [f"{rule} at {', '.join(where)}" for rule, where in layers.items()]
    return f"{', '.join(first)} and {last}" if first else last

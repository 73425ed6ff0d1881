"""Numbers as text: counts, shares, ranges, and nouns in singular and plural."""

from __future__ import annotations

from math import isinf

__all__ = ["count", "percent", "plural", "share", "short", "shown", "spread", "times"]


def count(number: float) -> str:
    """Return ``131072`` as ``131 072``: grouped by thousands, whole numbers without decimals."""
    return f"{number:,.0f}".replace(",", " ") if float(number).is_integer() else f"{number:g}"


def plural(number: int, noun: str) -> str:
    """Return ``1 timestep``, ``2 timesteps``, of a ``noun`` that takes an ``s``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """Return how often something happens: ``once``, ``twice``, ``3 times``."""
    return {0: "not at all", 1: "once", 2: "twice"}.get(number, f"{count(number)} times")


def share(part: float) -> str:
    """Return ``0.123`` as ``12.3 %``, always with one decimal, for columns."""
    return f"{100 * part:.1f} %"


def percent(part: float) -> str:
    """Return ``-25.1 %`` or ``0.31 %``: two digits below 10 %, one decimal from there on."""
    return f"{100 * part:.2g} %" if abs(part) < 0.1 else share(part)


def shown(value: float | str | None) -> str:
    """Return a number to three digits, text unchanged, ``none`` for None."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else f"{value:.3g}"


def short(number: float) -> str:
    """Return a number to three significant digits, without exponent: ``31 200``, ``0.00203``."""
    return f"{float(f'{number:.3g}'):,.12g}".replace(",", " ")


def spread(low: float, nominal: float | None, high: float) -> str:
    """Return a range with its likeliest value, each to three digits.

    ``444 (372 to 496)``; ``2.76 (to 8.23)`` if the likeliest value is the lowest; ``372 to 496``
    without one; ``at least 372`` or ``unknown`` if ``high`` is infinite.
    """
    if isinf(high):
        return f"at least {short(low)}" if low else "unknown"
    span = f"{short(low)} to {short(high)}"
    if nominal is None:
        return span
    if low == nominal:
        return short(nominal) if low == high else f"{short(nominal)} (to {short(high)})"
    return f"{short(nominal)} ({span})"

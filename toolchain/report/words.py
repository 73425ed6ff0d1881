"""Text of numbers: counts, shares, ranges, and nouns in singular and plural."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isinf

__all__ = ["count", "percent", "plural", "share", "short", "shown", "spread", "times", "visible"]

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that move the cursor, end a line, change the direction of text, are not visible or
have no encoding."""


def count(number: float) -> str:
    """Return a number grouped by thousands, whole numbers without decimals.

    >>> count(131072), count(0.25)
    ('131 072', '0.25')
    """
    return f"{number:,.0f}".replace(",", " ") if float(number).is_integer() else short(number, 6)


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural by an ``s``.

    >>> plural(1, "timestep"), plural(2000, "timestep")
    ('1 timestep', '2 000 timesteps')
    """
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """Return a number of repetitions as an adverb.

    >>> times(1), times(2), times(3)
    ('once', 'twice', '3 times')
    """
    return {0: "not at all", 1: "once", 2: "twice"}.get(number, f"{count(number)} times")


def share(part: float) -> str:
    """Return a part of 1 in percent, always with one decimal, for columns.

    >>> share(0.1234)
    '12.3 %'
    """
    return f"{100 * part:.1f} %"


def percent(part: float) -> str:
    """Return a part of 1 in percent: two digits below 10 %, one decimal from there on.

    >>> percent(-0.251), percent(0.0031)
    ('-25.1 %', '0.31 %')
    """
    return f"{100 * part:.2g} %" if abs(part) < 0.1 else share(part)


def shown(value: float | str | None) -> str:
    """Return whole numbers in full, others to three digits, text unchanged, ``none`` for None.

    >>> shown(65536.0), shown(0.12345), shown("int8"), shown(None)
    ('65 536', '0.123', 'int8', 'none')
    """
    if value is None or isinstance(value, str):
        return "none" if value is None else value
    return count(value) if float(value).is_integer() else short(value)


def short(number: float, digits: int = 3) -> str:
    """Return a number to ``digits`` significant digits, in groups and without exponent.

    >>> short(31234.5), short(0.0020345, 4), short(1234567.0)
    ('31 200', '0.002034', '1 230 000')
    """
    rounded = Decimal(f"{number:.{digits}g}")
    if not rounded.is_finite():
        return str(float(number))
    text = f"{rounded:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", " ")


def spread(low: float, nominal: float | None, high: float) -> str:
    """Return a range with its nominal value, each to three digits.

    >>> spread(372, 444, 496), spread(2.76, 2.76, 8.231), spread(372, None, 496)
    ('444 (372 to 496)', '2.76 (to 8.23)', '372 to 496')
    >>> spread(372, None, float("inf")), spread(0, None, float("inf"))
    ('at least 372', 'unknown')
    """
    if isinf(high):
        return f"at least {short(low)}" if low else "unknown"
    span = f"{short(low)} to {short(high)}"
    if nominal is None:
        return span
    if low == nominal:
        return short(nominal) if low == high else f"{short(nominal)} (to {short(high)})"
    return f"{short(nominal)} ({span})"


def visible(text: str, *, one_line: bool = False) -> str:
    r"""Return ``text`` with control and invisible characters and lone surrogates as escapes.

    A name of a layer, which may come from a file, can then neither control the terminal nor imitate
    other lines.

    Args:
        text: kept as it is otherwise, in any script.
        one_line: also escape line breaks and tabs.

    >>> print(visible("fc\x1b[2J"), visible("fc\nok", one_line=True))
    fc\x1b[2J fc\nok
    """
    text = HIDDEN.sub(_escape, text)
    return text.replace("\n", r"\n").replace("\t", r"\t") if one_line else text


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")

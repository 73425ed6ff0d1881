"""JSON from outside: no name twice, no NaN, and bounded before it is parsed."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.report import count

__all__ = ["NUMBERS", "number_array", "once", "parsed"]

MOST_CHARACTERS = 2**26
MOST_NUMBERS = 4_000_000
_MOST_BRACKETS = 200_000
_MOST_TEXTS = 200_000
_MOST_AROUND = 2**20
NUMBERS = re.compile(r"[-+0-9.eE,\[\]\s]*")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where it says one name twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"says {twice[:80]!r} twice")
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is no number")


def parsed(text: str) -> Any:
    """What the text says.

    The texts within it may be long; all that is around them may not, since each bracket of a few
    bytes becomes an object of a hundred.

    Raises:
        ValueError: no JSON, something said twice or without end, or too much of it.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"has {count(len(text))} characters, the limit is {count(MOST_CHARACTERS)}"
        )
    bare = text.replace(r"\\", "").replace(r"\"", "")
    if bare.count('"') > 2 * _MOST_TEXTS:
        raise ValueError(f"holds more than {count(_MOST_TEXTS)} texts")
    around = sum(len(part) for part in bare.split('"')[::2])
    if around > _MOST_AROUND:
        raise ValueError(
            f"has {count(around)} characters outside of its texts, the limit is "
            f"{count(_MOST_AROUND)}"
        )
    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("is nested without end") from None


def number_array(text: str) -> Array:
    """A number, or nested lists of numbers, as float64.

    Raises:
        ValueError: anything else, rows of different length, numbers that are not finite, too many.
    """
    if not NUMBERS.fullmatch(text):
        raise ValueError("holds something that is no number")
    if text.count(",") >= MOST_NUMBERS or text.count("[") > _MOST_BRACKETS:
        raise ValueError(f"holds more than {count(MOST_NUMBERS)} numbers")
    try:
        array = np.array(json.loads(text), dtype=np.float64)
    except (RecursionError, OverflowError):
        raise ValueError("holds numbers without end") from None
    if not np.isfinite(array).all():
        raise ValueError("holds numbers that are not finite")
    return array

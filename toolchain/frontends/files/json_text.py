"""JSON from outside: no name twice, no NaN, and bounded before it is parsed."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.report import count

__all__ = ["NUMBERS", "number_array", "parse_json", "unique_object"]

MAX_CHARACTERS = 2**26
MAX_NUMBERS = 4_000_000
_MAX_BRACKETS = 200_000
_MAX_STRINGS = 200_000
_MAX_STRUCTURE = 2**20
NUMBERS = re.compile(r"[-+0-9.eE,\[\]\s]*")


def unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where it says one name twice."""
    result = dict(pairs)
    if len(result) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"says {twice[:80]!r} twice")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is no number")


def parse_json(text: str) -> Any:
    """What the text says.

    The texts within it may be long; all that is around them may not, since each bracket of a few
    bytes becomes an object of a hundred.

    Raises:
        ValueError: no JSON, something said twice or without end, or too much of it.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"has {count(len(text))} characters, the limit is {count(MAX_CHARACTERS)}")
    bare = text.replace(r"\\", "").replace(r"\"", "")
    if bare.count('"') > 2 * _MAX_STRINGS:
        raise ValueError(f"holds more than {count(_MAX_STRINGS)} texts")
    structure = sum(len(part) for part in bare.split('"')[::2])
    if structure > _MAX_STRUCTURE:
        raise ValueError(
            f"has {count(structure)} characters outside of its texts, the limit is "
            f"{count(_MAX_STRUCTURE)}"
        )
    try:
        return json.loads(text, object_pairs_hook=unique_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("is nested without end") from None


def number_array(text: str) -> Array:
    """A number, or nested lists of numbers, as float64.

    Raises:
        ValueError: anything else, rows of different length, numbers that are not finite, too many.
    """
    if not NUMBERS.fullmatch(text):
        raise ValueError("holds something that is no number")
    if text.count(",") >= MAX_NUMBERS or text.count("[") > _MAX_BRACKETS:
        raise ValueError(f"holds more than {count(MAX_NUMBERS)} numbers")
    try:
        array = np.array(json.loads(text), dtype=np.float64)
    except (RecursionError, OverflowError):
        raise ValueError("holds numbers without end") from None
    if not np.isfinite(array).all():
        raise ValueError("holds numbers that are not finite")
    return array

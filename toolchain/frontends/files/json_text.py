"""Strict JSON parser for untrusted files: no duplicate keys, no NaN, bounded size."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from toolchain.archive.strict import refuse_constant, unique_object
from toolchain.arrays import Array
from toolchain.report import count

__all__ = ["NUMBERS", "number_array", "parse_json", "parse_numbers"]

MAX_CHARACTERS = 2**26
MAX_NUMBERS = 4_000_000
_MAX_BRACKETS = 200_000
_MAX_STRINGS = 200_000
_MAX_LISTS = 1_200_000
_MAX_STRUCTURE = 2**20
NUMBERS = re.compile(r"[-+0-9.eE,\[\]\s]*")


def parse_json(text: str) -> Any:
    """Parse a JSON text.

    Strings may be long; everything outside of them is limited, since each bracket of one byte
    becomes an object of a hundred.

    Raises:
        ValueError: invalid JSON, duplicate keys, nested too deeply, or too large.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"has {count(len(text))} characters, the limit is {count(MAX_CHARACTERS)}")
    bare = text.replace(r"\\", "").replace(r"\"", "")
    if bare.count('"') > 2 * _MAX_STRINGS:
        raise ValueError(f"contains more than {count(_MAX_STRINGS)} strings")
    structure = sum(len(part) for part in bare.split('"')[::2])
    if structure > _MAX_STRUCTURE:
        raise ValueError(
            f"has {count(structure)} characters outside strings, the limit is "
            f"{count(_MAX_STRUCTURE)}"
        )
    return _parsed(text)


def parse_numbers(text: str) -> Any:
    """Parse a JSON text that holds large matrices as lists, within the limits of ``parse_json``.

    Raises:
        ValueError: as for ``parse_json``, or more numbers or lists than the largest matrices have.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"has {count(len(text))} characters, the limit is {count(MAX_CHARACTERS)}")
    if text.count(",") >= MAX_NUMBERS:
        raise ValueError(f"contains more than {count(MAX_NUMBERS)} numbers")
    for bracket, what in (("[", "lists"), ("{", "objects"), ('"', "quotes")):
        most = _MAX_LISTS if bracket == "[" else _MAX_STRINGS
        if text.count(bracket) > most:
            raise ValueError(f"contains more than {count(most)} {what}")
    return _parsed(text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=unique_object, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def number_array(text: str) -> Array:
    """Parse a number, or nested lists of numbers, as float64.

    Raises:
        ValueError: other text, rows of different length, values that are not finite, or too many.
    """
    if not NUMBERS.fullmatch(text):
        raise ValueError("contains something other than numbers")
    if text.count(",") >= MAX_NUMBERS or text.count("[") > _MAX_BRACKETS:
        raise ValueError(f"contains more than {count(MAX_NUMBERS)} numbers")
    try:
        array = np.array(json.loads(text), dtype=np.float64)
    except (RecursionError, OverflowError):
        raise ValueError("contains numbers too large or nested too deeply") from None
    if not np.isfinite(array).all():
        raise ValueError("contains values that are not finite")
    return array

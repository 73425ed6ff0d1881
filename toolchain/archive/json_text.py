"""JSON of saved files: written so that equal data gives equal bytes, and read strictly.

Refused are repeated keys, numbers that JSON does not have, integers beyond 64 bits, and large or
deep documents: Python's own reader accepts them, or fails later with another error.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from toolchain.archive.strict import refuse_constant, unique_object

__all__ = ["MOST_BYTES", "as_json", "from_json", "with_entry"]

MOST_BYTES = 8 * 2**20
"""Size limit of a document, bytes; its Python objects need about 25 times as much."""
MOST_DIGITS = 19
"""Digits of an integer of 64 bits."""


def as_json(data: Any) -> bytes:
    """Return data as JSON, in the order of its keys; equal data gives equal bytes.

    Raises:
        ValueError: a number is not finite, or ``from_json`` would refuse the document as too large.

    >>> print(as_json({"steps": 10, "dt": 0.001}).decode())
    {
     "steps": 10,
     "dt": 0.001
    }
    """
    text = json.dumps(data, indent=1, allow_nan=False).encode()
    if len(text) > MOST_BYTES:
        raise ValueError(f"needs {len(text)} bytes as JSON, at most {MOST_BYTES} are read")
    return text


def with_entry(document: bytes, key: str, value: str) -> bytes:
    """Return a document of ``as_json``, an object that is not empty, with a text at its end.

    >>> with_entry(as_json({"steps": 10}), "unit", "ms") == as_json({"steps": 10, "unit": "ms"})
    True
    """
    return document.removesuffix(b"\n}") + b"," + as_json({key: value})[1:]


def from_json(data: bytes) -> dict[str, Any]:
    """Return the content of a JSON document, an object.

    Raises:
        ValueError: it is none; too large or deep; a key is repeated; a number is not finite or has
            more than 64 bits.

    >>> from_json(b'{"steps": 10}')
    {'steps': 10}
    >>> from_json(b'{"steps": 10, "steps": 11}')
    Traceback (most recent call last):
    ValueError: duplicate key 'steps'
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"is larger than {MOST_BYTES} bytes")
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=unique_object,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=refuse_constant,
        )
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    return found


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"{text[:30]}... has more than 64 bits")
    return int(text)


def _real(text: str) -> float:
    if not isfinite(value := float(text)):
        raise ValueError(f"{text[:30]} is not finite")
    return value

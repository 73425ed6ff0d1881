"""Hooks of Python's JSON reader for files from outside: no repeated keys, no NaN or infinity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

__all__ = ["refuse_constant", "unique_object"]


def unique_object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object, as ``object_pairs_hook`` of ``json.loads``.

    Raises:
        ValueError: a key is repeated.

    >>> unique_object([("steps", 10), ("steps", 11)])
    Traceback (most recent call last):
    ValueError: duplicate key 'steps'
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key!r:.80}")
        found[key] = value
    return found


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and infinity, as ``parse_constant`` of ``json.loads``.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"contains {name}, which is not a number of JSON")

"""Integers from outside and shapes as text, for the checks of constructors."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["as_int", "as_ints", "shape_text"]


def as_int(value: object) -> int | None:
    """Return ``value`` as a Python int if it is an integer of Python or numpy; bool gives None."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def as_ints(values: Iterable[Any], length: int) -> tuple[int, ...] | None:
    """Return ``length`` integers as plain Python ones, or None."""
    try:
        ints = [as_int(value) for value in values]
    except TypeError:
        return None
    good = [value for value in ints if value is not None]
    return tuple(good) if len(good) == len(ints) == length else None


def shape_text(shape: Iterable[int]) -> str:
    """Return ``(2, 34, 34)`` as ``2x34x34``."""
    return "x".join(map(str, shape))

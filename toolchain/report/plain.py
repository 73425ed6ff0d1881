"""Results as plain data: what JSON can hold, and nothing else."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from math import isfinite
from pathlib import PurePath
from typing import Any

import numpy as np

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return ``value`` as dicts, lists, text, numbers, booleans and None.

    Results with an ``as_dict`` give that, other dataclasses become dicts of their fields, mappings
    dicts with keys as text, tuples, sets (sorted by their text) and arrays lists, enumerations
    their values, numpy's numbers Python's. Numbers that JSON does not have, NaN and the infinities,
    become None.

    Raises:
        TypeError: anything else.

    >>> import json
    >>> import numpy as np
    >>> json.dumps(plain({"counts": np.arange(3), 7: np.float32("nan"), "shape": (1, 2)}))
    '{"counts": [0, 1, 2], "7": null, "shape": [1, 2]}'
    """
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    return str(value) if isinstance(value, PurePath) else _plain_parts(value)


def _plain_parts(value: Any) -> Any:
    """Return a result, dataclass or collection as plain data."""
    if hasattr(value, "as_dict"):
        return plain(value.as_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return [plain(item) for item in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"no plain data for {type(value).__name__}")

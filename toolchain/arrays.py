"""Type aliases of arrays and shapes, and the base of frozen dataclasses with arrays.

This module imports numpy and the standard library only.

>>> import numpy as np
>>> def features(spikes: Array) -> Shape:
...     return spikes.shape[2:]
>>> features(np.zeros((4, 100, 2, 16, 16)))
(2, 16, 16)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Array",
    "Frozen",
    "Shape",
    "finite",
    "freeze",
    "has_masked",
    "places",
    "read_only",
    "whole",
]

Array: TypeAlias = npt.NDArray[Any]
"""Array of any element type; a function that needs one type uses ``npt.NDArray[...]``."""

Shape: TypeAlias = tuple[int, ...]
"""Sizes of the axes of one sample at one timestep."""


def finite(value: Any) -> float | None:
    """Return a real number as float; None if it is a truth value, not finite, or none at all.

    >>> finite(np.float32(2)), finite(True), finite("2"), finite(10**400)
    (2.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def places(wrong: Array, most: int = 4) -> str:
    """Return the indices at which a boolean array is true as text; empty for a single value.

    >>> places(np.array([False, True, True])), places(np.eye(2) > 0)
    ('1, 2', '(0, 0), (1, 1)')
    >>> places(np.ones(20) > 0)
    '0, 1, 2, 3 and 16 more'
    """
    found = np.argwhere(wrong)
    if not wrong.ndim:
        return ""
    texts = [str(i[0]) if len(i) == 1 else f"({', '.join(map(str, i))})" for i in found[:most]]
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(texts) + rest


def whole(values: Array, most: int = 2**62) -> Array:
    """Return values rounded half to even, int64, and clipped to ``-most .. most``.

    Larger ones fit no word of a chip, and without a limit none of int64 either.

    >>> whole(np.array([2.5, -1e300])).tolist()
    [2, -4611686018427387904]
    """
    return np.asarray(np.rint(np.clip(values, -most, most)).astype(np.int64))


def has_masked(values: Any) -> bool:
    """Return True for a masked array with masked values, whose conversion drops the mask.

    >>> has_masked(np.ma.array([1, 2], mask=[0, 1])), has_masked(np.ma.array([1, 2]))
    (True, False)
    """
    if not isinstance(values, np.ma.MaskedArray):
        return False
    mask: Array = np.ma.getmaskarray(values)
    names = mask.dtype.names
    return bool(mask.any() if names is None else any(mask[name].any() for name in names))


def read_only(values: Any, dtype: npt.DTypeLike | None = None) -> Array:
    """Return a copy, in row-major order, that nobody can write to or make writable again.

    >>> fixed = read_only([1, 2, 3])
    >>> fixed.flags.writeable = True
    Traceback (most recent call last):
    ValueError: cannot set WRITEABLE flag to True of this array
    """
    array = np.asarray(values, dtype)
    return np.ndarray(array.shape, array.dtype, buffer=array.tobytes())


def freeze(thing: Any) -> None:
    """Make all arrays of a program read-only, in its fields and in the collections among them.

    >>> from types import SimpleNamespace
    >>> program = SimpleNamespace(layers=({"weight": np.zeros(3)},))
    >>> freeze(program)
    >>> program.layers[0]["weight"].flags.writeable
    False
    """
    waiting, seen = [thing], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | str | bytes | int | float | None):
            continue
        seen.add(id(each))
        if isinstance(each, np.ndarray):
            each.flags.writeable = False
            continue
        if isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, list | tuple | set | frozenset):
            waiting += each
        names = [field.name for field in fields(each)] if is_dataclass(each) else ()
        waiting += [getattr(each, name) for name in names]
        waiting += getattr(each, "__dict__", {}).values()


class Frozen:
    """Base of frozen dataclasses whose arrays are read-only; in copies and pickles they stay so.

    >>> import copy
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Weights(Frozen):
    ...     weight: Array
    >>> copy.deepcopy(Weights(np.zeros(3))).weight.flags.writeable
    False
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return _rebuilt, (type(self), values)


def _rebuilt(kind: type[Frozen], values: Mapping[str, Any]) -> Frozen:
    """Return an object with these fields; they were checked when the original was built."""
    result = object.__new__(kind)
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            value = read_only(value)  # neither pickle nor deepcopy keeps the flag
        object.__setattr__(result, name, value)
    return result
